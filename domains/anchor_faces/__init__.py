"""Rendered faces: a hub, its domains, and the procedural renderer their pictures come from."""

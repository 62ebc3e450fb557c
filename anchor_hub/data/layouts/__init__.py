"""Data sets as they are published: which layout a folder or a zip archive has, and what it holds for a modality."""

from __future__ import annotations

from anchor_hub.data.layouts.base import Found, Request, Sample
from anchor_hub.data.layouts.detection import find_data_set, supported_layouts

__all__ = ["Found", "Request", "Sample", "find_data_set", "supported_layouts"]

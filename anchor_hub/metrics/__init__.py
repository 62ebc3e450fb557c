"""Metrics of label maps, points, pictures, and whole sets of pictures."""

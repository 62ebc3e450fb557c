"""Avatars in two styles drawn by artists, put together from parts by chance: data sets, and domains on faces-64."""

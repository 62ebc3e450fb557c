"""What is done with latents: moved along directions, and morphed. The names below are imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anchor_hub._lazy import lazy_names

_EXPORTS = {
    "Directions": "anchor_hub.editing.directions",
    "directions_of": "anchor_hub.editing.directions",
    "direction_sheet": "anchor_hub.editing.sheet",
    "edit_files": "anchor_hub.editing.edit",
    "EditSession": "anchor_hub.editing.edit",
    "morph_files": "anchor_hub.editing.morph",
    "morph_frames": "anchor_hub.editing.morph",
    "open_editor": "anchor_hub.editing.opening",
    "open_latents": "anchor_hub.editing.latent_inputs",
}

__all__ = list(_EXPORTS)

__getattr__ = lazy_names(__name__, _EXPORTS)

if TYPE_CHECKING:
    from anchor_hub.editing.directions import Directions as Directions
    from anchor_hub.editing.directions import directions_of as directions_of
    from anchor_hub.editing.edit import EditSession as EditSession
    from anchor_hub.editing.edit import edit_files as edit_files
    from anchor_hub.editing.latent_inputs import open_latents as open_latents
    from anchor_hub.editing.morph import morph_files as morph_files
    from anchor_hub.editing.morph import morph_frames as morph_frames
    from anchor_hub.editing.opening import open_editor as open_editor
    from anchor_hub.editing.sheet import direction_sheet as direction_sheet

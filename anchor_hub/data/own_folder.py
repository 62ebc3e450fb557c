"""The data set `image-folder:<path>`: files that lie there already."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from anchor_hub.errors import DataError


def training_folder(argument: str, **request: Any) -> Path:
    """The folder named by `argument`, checked to exist; size, count and seed do not change what is in it."""
    folder = Path(os.path.abspath(Path(argument)))
    if not argument or not folder.is_dir():
        what = "is a file" if folder.is_file() else "does not exist"
        raise DataError(f"{argument or 'image-folder'}: {what}; name a folder of images")
    return folder

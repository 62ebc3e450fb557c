"""Does a prior find the same content in what a hub draws of one latent in two classes?

    python benchmarks/content_agreement.py --prior content-64 --hub creatures-64

Of the same latents in every class of the hub, and over all pairs of classes: how often the content nearest to that of
a picture is the same latent's (``nearest``, chance is one in ``--latents``), and the mean distance of contents of one
latent over that of two (``ratio``, chance is 1). The same of the pictures' pixels, whole and averaged down to the
content's side. With ``--test FOLDER``, a folder of class folders whose files of one name show the same pose, the same
of these pictures.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anchor_gpunit.agreement import agreement, descriptions, pictures_of_latents, small_pixels
from anchor_gpunit.prior import ContentPrior
from anchor_hub.bundles.base import open_bundle
from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.hubs.loading import load_hub
from anchor_hub.modality import build_modality
from anchor_hub.plugins.finding import bundle_folder


def load(folder: Path, side: int, count: int) -> Tensor:
    """The first pictures of every class, [classes, count, 3, side, side] in [-1, 1]."""
    rgb = build_modality({"name": "rgb"})
    files = ImageFolder(folder, rgb, side)
    rows, labels = files.load_all(), torch.tensor(files.labels)
    assert isinstance(rows, Tensor)
    return torch.stack([rgb.to_network(rows[labels == index][:count]) for index in range(len(files.class_names))])


def measure(prior: ContentPrior, pictures: Tensor) -> dict[str, Any]:
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "content": lambda images: prior(images)[0],
        "pixels": lambda images: images,
        "small pixels": small_pixels(prior.config.content_side),
    }
    return {name: agreement(descriptions(pictures, way)) for name, way in ways.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--prior", required=True)
    parser.add_argument("--hub", required=True)
    parser.add_argument("--test", type=Path, help="pictures in class folders, alike by name")
    parser.add_argument("--latents", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    prior = ContentPrior.load(open_bundle(bundle_folder(given.prior, "prior"), "prior"), "cpu")
    pictures = pictures_of_latents(load_hub(given.hub, "cpu"), given.latents, given.seed)
    result: dict[str, Any] = {"prior": prior.name, "hub": given.hub, "latents": given.latents}
    result["hub's pictures"] = measure(prior, pictures)
    if given.test is not None:
        result["pictures alike by name"] = measure(prior, load(given.test, prior.config.size, given.latents))
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()

"""What this package registers: the hub `faces-64`, its domains, and the data set `rendered-faces`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from anchor_hub.hookspecs import hookimpl
from anchor_hub.specs import DatasetSpec, DomainSpec, HubSpec

HERE = Path(__file__).resolve().parent
HUB = "faces-64"
RGB = {"name": "rgb"}
GRAY = {"name": "gray"}
LABELS = {"name": "segmentation", "classes": 19, "palette": "celebamask-hq"}
LANDMARKS = {"name": "landmarks"}

# name, modality, summary
DOMAINS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("face", RGB, "rendered faces; decodes through the hub itself"),
    ("seg", LABELS, "19-class face label maps in CelebAMask-HQ's order"),
    ("landmark", LANDMARKS, "68 facial landmarks"),
    ("sketch", GRAY, "pencil sketches of rendered faces"),
    ("depth", GRAY, "depth maps of rendered faces, near is bright"),
    ("normal", RGB, "surface normals of rendered faces"),
    ("toon", RGB, "cartoon twins of rendered faces"),
    ("cat", RGB, "rendered cats"),
)


@hookimpl
def anchor_register_hubs(register: Callable[[HubSpec], None]) -> None:
    register(HubSpec(HUB, bundle=str(HERE / "bundles" / "hub"), summary="StyleGAN2 on rendered faces, 64 px"))


@hookimpl
def anchor_register_domains(register: Callable[[DomainSpec], None]) -> None:
    for name, modality, summary in DOMAINS:
        register(
            DomainSpec(
                name,
                hub=HUB,
                modality=modality,
                # A bundle that is not there (yet) makes the domain one that can be added.
                bundle=str(HERE / "bundles" / name),
                dataset=f"rendered-faces:{name}",
                samples=str(HERE / "samples" / name),
                summary=summary,
            )
        )


@hookimpl
def anchor_register_datasets(register: Callable[[DatasetSpec], None]) -> None:
    register(
        DatasetSpec(
            "rendered-faces",
            target="anchor_faces.dataset:training_folder",
            summary="procedural faces, cartoons and cats, aligned across modalities by construction",
        )
    )

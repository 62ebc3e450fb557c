"""What this package registers: hubs, their domains, rendered data sets, a benchmark with its judges, and commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from anchor_hub.hookspecs import hookimpl
from anchor_hub.specs import (
    BenchmarkSpec,
    CommandSpec,
    DatasetSpec,
    DomainSpec,
    ExtractorSpec,
    HubSpec,
    PriorSpec,
    RecipeSpec,
    TranslatorSpec,
)

HERE = Path(__file__).resolve().parent
HUB = "faces-64"
RGB = {"name": "rgb"}
GRAY = {"name": "gray"}
LABELS = {"name": "segmentation", "classes": 19, "palette": "celebamask-hq"}
LANDMARKS = {"name": "landmarks", "points": 68, "size": 64}
RENDERED = {"data": "Apache-2.0 (rendered, no photographs)"}

# What `anchor add-domain` trains with: about eight minutes on two CPU cores, rendering included.
TRAINING: dict[str, Any] = {"count": 3000, "images": 10_000, "batch": 16}
# The face domain's pictures are the hub's own, so that domain learns only an encoder.
OWN: dict[str, Any] = {**TRAINING, "regressor": {"name": "hub"}, "encoder": {"name": "compact", "width": 32}}

# name, modality, training, summary
DOMAINS: tuple[tuple[str, dict[str, Any], dict[str, Any], str], ...] = (
    ("face", RGB, OWN, "rendered faces; decodes through the hub itself"),
    ("seg", LABELS, TRAINING, "19-class face label maps in CelebAMask-HQ's order"),
    ("landmark", LANDMARKS, TRAINING, "68 facial landmarks"),
    ("sketch", GRAY, TRAINING, "pencil sketches of rendered faces"),
    ("depth", GRAY, TRAINING, "depth maps of rendered faces, near is bright"),
    ("normal", RGB, TRAINING, "surface normals of rendered faces"),
    ("toon", RGB, TRAINING, "cartoon twins of rendered faces"),
    ("cat", RGB, TRAINING, "rendered cats"),
    ("car", RGB, TRAINING, "rendered toy cars, their fronts and their rears"),
)

# Copies of the hub's generator, fine-tuned on the pictures of these domains: about half an hour on two CPU cores.
FINE_TUNED = ("toon", "cat")
FINE_TUNING: dict[str, Any] = {"method": "finetune", "count": 1000, "images": 20_000, "half": True}


# The class-conditional hub: its bundle and its domains' lie in a folder of their own.
CREATURE_HUB = "creatures-64"
CREATURE_BUNDLES = HERE / "bundles" / CREATURE_HUB
CREATURES = (
    "ginger", "silver", "tuxedo", "siamese", "calico", "black-cat", "white-cat", "blonde", "redhead", "afro", "bearded",
    "elder", "toon-pink", "toon-blue", "toon-ponytail", "toon-beard",
)  # fmt: skip
# For one class of each family, the label maps are a domain, too.
MASKED = ("ginger", "blonde", "toon-pink")
CREATURE_TRAINING: dict[str, Any] = {
    "count": 1000, "images": 12_000, "batch": 16, "encoder": {"name": "compact", "width": 16},
}  # fmt: skip


# What GP-UNIT distils from the class-conditional hub, and translators on it.
PRIOR = "content-64"
PRIOR_TRAINING: dict[str, Any] = {
    "requires": {"hub": CREATURE_HUB}, "modalities": {"masks": LABELS}, "count": 4000, "images": 24_000,
    "shapes": "parts",
}  # fmt: skip
#: Names of source and target.
GP_UNIT_PAIRS = (("face", "cat"), ("cat", "face"))
GP_UNIT_TRAINING: dict[str, Any] = {"requires": {"prior": PRIOR}, "count": 3000, "images": 50_000}


@hookimpl
def anchor_register_hubs(register: Callable[[HubSpec], None]) -> None:
    register(
        HubSpec(CREATURE_HUB, bundle=str(CREATURE_BUNDLES / "hub"), summary="BigGAN on 16 classes of creatures, 64 px")
    )
    register(HubSpec(HUB, bundle=str(HERE / "bundles" / "hub"), summary="StyleGAN2 on rendered faces, 64 px"))


@hookimpl
def anchor_register_domains(register: Callable[[DomainSpec], None]) -> None:
    for name, modality, training, summary in DOMAINS:
        register(
            DomainSpec(
                name,
                hub=HUB,
                modality=modality,
                # A domain whose bundle does not exist (yet) is one that `anchor add-domain` can add.
                bundle=str(HERE / "bundles" / name),
                dataset=f"rendered-faces:{name}",
                training=training,
                samples=str(HERE / "samples" / name),
                summary=summary,
            )
        )
    for kind in FINE_TUNED:
        register(
            DomainSpec(
                f"{kind}-ft",
                hub=HUB,
                modality=RGB,
                bundle=str(HERE / "bundles" / f"{kind}-ft"),
                dataset=f"rendered-faces:{kind}",
                training=FINE_TUNING,
                samples=str(HERE / "samples" / kind),
                summary=f"pictures of {kind} by a fine-tuned copy of the hub's generator",
            )
        )
    register_creatures(register)


def register_creatures(register: Callable[[DomainSpec], None]) -> None:
    if not (CREATURE_BUNDLES / "hub" / "bundle.yaml").is_file():
        return  # domains that nobody could add would only lengthen the lists
    kinds: list[tuple[str, str, str, dict[str, Any], dict[str, Any], str]]
    kinds = [(name, name, "image", RGB, {"regressor": {"name": "hub"}}, "pictures") for name in CREATURES]
    kinds += [(f"{name}-mask", name, "seg", LABELS, {}, "label maps") for name in MASKED]
    for name, creature, folder, modality, options, what in kinds:
        register(
            DomainSpec(
                name,
                hub=CREATURE_HUB,
                modality=modality,
                bundle=str(CREATURE_BUNDLES / name),
                dataset=f"rendered-creatures:{folder}/{creature}",
                training={**CREATURE_TRAINING, **options, "class": creature},
                summary=f"{what} of the rendered creature {creature}",
            )
        )


@hookimpl
def anchor_register_priors(register: Callable[[PriorSpec], None]) -> None:
    register(
        PriorSpec(
            PRIOR,
            recipe="distill",
            bundle=str(HERE / "bundles" / PRIOR),
            data={"real": "rendered-creatures:image", "masks": "rendered-creatures:seg"},
            training=PRIOR_TRAINING,
            summary="content that people, cartoons and cats share, distilled from creatures-64",
        )
    )


@hookimpl
def anchor_register_translators(register: Callable[[TranslatorSpec], None]) -> None:
    for source, target in GP_UNIT_PAIRS:
        register(
            TranslatorSpec(
                f"{source}-{target}",
                backend="gp-unit",
                source=source,
                targets=(target,),
                bundle=str(HERE / "bundles" / f"{source}-{target}"),
                data={"source": f"rendered-faces:{source}", "target": f"rendered-faces:{target}"},
                training=GP_UNIT_TRAINING,
                summary=f"rendered pictures of {source} in the style of {target}, by GP-UNIT",
            )
        )


@hookimpl
def anchor_register_datasets(register: Callable[[DatasetSpec], None]) -> None:
    register(
        DatasetSpec(
            "rendered-faces",
            target="anchor_faces.dataset:training_folder",
            license=RENDERED,
            summary="procedural faces, cartoons, cats and toy cars, aligned across modalities by construction",
        )
    )
    register(
        DatasetSpec(
            "rendered-creatures",
            target="anchor_faces.creature_dataset:training_folder",
            license=RENDERED,
            summary="sixteen classes of people, cartoons and cats that share pose, expression and light; and toy cars",
        )
    )
    register(
        DatasetSpec(
            "face-renders",
            target="anchor_faces.benchmark.renders:training_folder",
            license=RENDERED,
            summary="faces, toons and cats, or toy cars, with everything the renderer knows of them, for the judges",
        )
    )


@hookimpl
def anchor_register_recipes(register: Callable[[RecipeSpec], None]) -> None:
    register(
        RecipeSpec(
            "face-judges",
            target="anchor_faces.benchmark.judge_recipe:JudgeRecipe",
            kind="judges",
            summary="train the judges of the benchmark rendered-faces: parser, landmarks, factors",
        )
    )


@hookimpl
def anchor_register_extractors(register: Callable[[ExtractorSpec], None]) -> None:
    register(
        ExtractorSpec(
            "rendered-faces-r1",
            target="anchor_faces.benchmark.judges:extractor",
            summary="features of the face judges, for fd_rendered; made for rendered faces of 64 px",
        )
    )
    register(
        ExtractorSpec(
            "rendered-creatures-r1",
            target="anchor_faces.benchmark.judges:creature_extractor",
            summary="features of the creature judges, for fd_creatures; made for rendered toons and cats of 64 px",
        )
    )
    register(
        ExtractorSpec(
            "rendered-cars-r1",
            target="anchor_faces.benchmark.judges:car_extractor",
            summary="features of the car judges, for fd_cars; made for rendered toy cars of 64 px",
        )
    )


@hookimpl
def anchor_register_benchmarks(register: Callable[[BenchmarkSpec], None]) -> None:
    register(
        BenchmarkSpec(
            "rendered-faces",
            target="anchor_faces.benchmark.run:evaluate",
            summary="translations between rendered faces' domains against the renderer's truth",
        )
    )


@hookimpl
def anchor_register_commands(register: Callable[[CommandSpec], None]) -> None:
    register(
        CommandSpec(
            "benchmark",
            target="anchor_faces.commands.benchmark:app",
            help="Measure translations of rendered faces against the truth; train its judges.",
        )
    )
    register(
        CommandSpec(
            "render",
            target="anchor_faces.commands.render:render",
            group="data",
            help="Render faces with labels, landmarks, sketches and depth.",
        )
    )

"""What the library itself registers, through the same entry points as a stranger's plugin."""

from __future__ import annotations

from collections.abc import Callable

from anchor_hub.hookspecs import hookimpl
from anchor_hub.specs import (
    ArchitectureSpec,
    BackendSpec,
    CheckpointSpec,
    DatasetSpec,
    InverterSpec,
    ModalitySpec,
    RecipeSpec,
)


@hookimpl
def anchor_register_modalities(register: Callable[[ModalitySpec], None]) -> None:
    register(ModalitySpec("rgb", target="anchor_hub.modality.rgb:RGB", summary="colour pictures"))
    register(
        ModalitySpec(
            "gray", target="anchor_hub.modality.gray:Gray", summary="one-channel pictures: sketches, depth"
        )
    )
    register(
        ModalitySpec(
            "segmentation",
            target="anchor_hub.modality.segmentation:Segmentation",
            summary="label maps: class ids or palette PNG",
        )
    )
    register(
        ModalitySpec(
            "landmarks",
            target="anchor_hub.modality.landmarks:Landmarks",
            summary="points, or their drawn map",
        )
    )


@hookimpl
def anchor_register_architectures(register: Callable[[ArchitectureSpec], None]) -> None:
    for name, target, summary in (
        ("stylegan2", "stylegan2:StyleGAN2Hub", "StyleGAN2 generators"),
        ("biggan", "biggan:BigGANHub", "BigGAN generators"),
        ("biggan-deep", "biggan:BigGANHub", "BigGAN-deep generators"),
    ):
        register(ArchitectureSpec(name, kind="hub", target=f"anchor_hub.hubs.{target}", summary=summary))
    register(
        ArchitectureSpec(
            "anchored",
            target="anchor_hub.domains.anchored:AnchoredDomain",
            summary="an encoder and a regressor of feature maps",
        )
    )
    register(
        ArchitectureSpec(
            "published-anchor",
            target="anchor_hub.domains.published:PublishedDomain",
            summary="domains as the authors of latent space anchoring released them",
        )
    )


@hookimpl
def anchor_register_checkpoints(register: Callable[[CheckpointSpec], None]) -> None:
    # In this order they are asked whether a file is theirs.
    for name, module, summary in (
        ("stylegan2", "stylegan2_pt", "StyleGAN2 generators in rosinality's layout"),
        ("stylegan2-ada", "stylegan2_ada", "StyleGAN2-ADA generators"),
        ("latent-space-anchoring", "lsa_hub", "the generator of a release of latent-space anchoring"),
        ("biggan-deep-hf", "biggan_deep_hf", "BigGAN-deep generators with a config.json"),
        ("biggan", "biggan_brock", "BigGAN generators of the authors' PyTorch code"),
        ("latent-space-anchoring-domain", "lsa_domain", "the encoder and regressor of such a release, as a domain"),
    ):
        register(CheckpointSpec(name, target=f"anchor_hub.checkpoints.{module}", summary=summary))


@hookimpl
def anchor_register_backends(register: Callable[[BackendSpec], None]) -> None:
    register(
        BackendSpec(
            "anchor",
            target="anchor_hub.translation.anchor:AnchorTranslator",
            summary="latent space anchoring: encode to the hub's latents, decode from its feature maps",
        )
    )


@hookimpl
def anchor_register_inverters(register: Callable[[InverterSpec], None]) -> None:
    for name, kind, summary in (
        ("w-plus", "search:WPlusSearch", "optimise a code for each layer"),
        ("w", "search:WSearch", "optimise one code for all layers"),
        ("projection", "projection:Projection", "StyleGAN2's projection: one code, perceptual term, noise maps"),
        ("projection-plus", "projection:ProjectionPlus", "StyleGAN2's projection with a code for each layer"),
        ("factor", "factor:FactorSearch", "optimise one code in the space of the factorised generator"),
        ("encoder", "encoder:EncoderCodes", "the codes of the domain's encoder as they are"),
        ("encoder-w-plus", "encoder:EncoderWPlus", "the encoder's codes, then a code for each layer"),
    ):
        register(InverterSpec(name, target=f"anchor_hub.inversion.{kind}", summary=summary))


@hookimpl
def anchor_register_datasets(register: Callable[[DatasetSpec], None]) -> None:
    register(
        DatasetSpec(
            "image-folder",
            target="anchor_hub.data.own_folder:training_folder",
            summary="a folder of your own files",
        )
    )


@hookimpl
def anchor_register_recipes(register: Callable[[RecipeSpec], None]) -> None:
    register(
        RecipeSpec(
            "stylegan2",
            target="anchor_hub.training.generators.stylegan2_recipe:HubRecipe",
            kind="hub",
            summary="train a hub with StyleGAN2's losses",
        )
    )
    register(
        RecipeSpec(
            "biggan",
            target="anchor_hub.training.generators.biggan_recipe:BigGANRecipe",
            kind="hub",
            summary="train a class-conditional hub with BigGAN's losses",
        )
    )
    register(
        RecipeSpec(
            "anchor",
            target="anchor_hub.training.anchoring.recipe:AnchorRecipe",
            kind="domain",
            summary="anchor one domain's encoder and regressor to a frozen hub",
        )
    )

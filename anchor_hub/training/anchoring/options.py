"""The options of anchoring a domain, and their defaults (docs/results.md says what they achieve)."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import Field, model_validator

from anchor_hub.errors import UsageError, did_you_mean
from anchor_hub.training.base import RecipeOptions

Chosen = TypeVar("Chosen", bound="AnchorOptions")

if TYPE_CHECKING:
    from anchor_hub.modality import Modality

OBJECTIVES = ("aligned", "published")
OPTIMIZERS = ("adam", "ranger")
NUMBERS = ("structure_layers", "appearance", "codes", "learning_rate", "distill")


@dataclass(frozen=True)
class AlignedWeights:
    """Weights of the terms of the ``aligned`` objective; a weight of 0 leaves the term out.

    ``x`` is an image of the domain, ``w`` a sampled latent, ``G``/``F`` the hub's picture and feature maps.
    """

    reconstruction: float = 1.0  # R(F(E(x))) against x, with the modality's own loss
    mahalanobis: float = 0.1  # E(x) stays among the hub's latents (whitened squared distance to their mean)
    centre: float = 0.0  # the mean code of a batch is the mean latent: no appearance is preferred
    consistency: float = 0.3  # E(R(F(w))) finds w again (whitened)
    adversarial: float = 0.3  # R(F(w)) looks like an image of the domain
    edges: float = 0.3  # edges of x and G(E(x)) lie in the same places
    regions: float = 0.0  # label maps: in G(E(x)), one region of x is of one colour
    sampled_edges: float = 0.3  # edges of R(F(w)) and G(w) lie in the same places
    sampled_regions: float = 0.0  # label maps: in G(w), one region of R(F(w)) is of one colour
    consensus: float = 0.0  # label maps: R(F(w)) is what a linear map of F(w) makes of all such readings
    dice: float = 0.0  # label maps: every class is read back as well as every other, however small it is


class AnchorOptions(RecipeOptions):
    """Options of the anchoring recipe.

    :param objective: ``aligned`` (default) or ``published`` (the paper's equation 5).
    :param encoder: name of the encoder ("compact" or "psp") and its options.
    :param regressor: name of the regressor and its options; ``{"name": "hub"}`` decodes by the hub's own picture (for
        the domain that the hub itself generates).
    :param resolutions: hub feature maps the regressor reads; empty = the regressor's default for the hub's size.
    :param structure_layers: number of leading W+ layers that the encoder drives. The finer layers get the code of a
        random sample in every training step, so that structure lives in the coarse layers and the regressor learns to
        ignore colour. ``None`` = 60 % of the layers, or all of them for ``published`` and for the hub's own domain.
    :param appearance: probability (0 to 1) that a training image also gets a random appearance in the structure layers:
        the difference between a sample's code and the code that the encoder finds in the sample's decoded map.
    :param codes: how many structure layers get their own code; the remaining ones share the last. Default: all.
    :param optimizer: optimiser of ``published``: "ranger" (the published commands, default) or "adam" (the article).
        ``aligned`` always takes Adam.
    :param learning_rate: default 1e-3 (``aligned``) or 1e-4 (``published``).
    :param distill: the last so many images of the run teach the encoder the codes that its corrections would give, so
        that the domain needs no corrections (``aligned`` on StyleGAN2 hubs). 0 (default): none.
    :param weights: weights of terms by name: those of :class:`AlignedWeights`, or of the published objective's table.
    """

    objective: str = "aligned"
    encoder: Mapping[str, Any] = Field(default_factory=lambda: {"name": "compact"})
    regressor: Mapping[str, Any] = Field(default_factory=lambda: {"name": "compact"})
    resolutions: tuple[int, ...] = ()
    structure_layers: int | None = None
    appearance: float | int = 0.2
    codes: int | None = None
    optimizer: str | None = None
    learning_rate: float | int | None = None
    distill: int = 0
    weights: Mapping[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _checked(cls, values: Any) -> Any:
        """The values as they are, checked before types are converted so that errors come as plain sentences."""
        chosen = {name: item.get_default(call_default_factory=True) for name, item in cls.model_fields.items()}
        values = {name: _number(value) if name in NUMBERS else value for name, value in dict(values).items()}
        chosen.update(values)
        _check(chosen)
        return values

    @classmethod
    def from_dict(cls: type[Chosen], values: Mapping[str, Any]) -> Chosen:
        """Options from a mapping (a plugin's ``training`` table); unknown names raise :class:`UsageError`."""
        names = list(cls.model_fields)
        for name in values:
            if name not in names:
                raise UsageError(f"anchoring has no option {name!r}.{did_you_mean(name, names)}")
        return cls(**values)

    @classmethod
    def read(cls: type[Chosen], values: Mapping[str, Any], where: str) -> Chosen:
        return cls.from_dict(values)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able copy, for the bundle's provenance and the run's options."""
        table = {name: copy.deepcopy(getattr(self, name)) for name in AnchorOptions.model_fields}
        table["resolutions"] = list(self.resolutions)
        for name in ("optimizer", "distill"):  # runs from before there was a choice go on
            if not table[name]:
                del table[name]
        return table


class DomainOptions(AnchorOptions):
    """Options of ``anchor add-domain``: those of anchoring, and three that the bundle records in their own fields.

    :param hub_class: the class of a class-conditional hub, by name or index.
    :param start_from: a domain (name, or bundle's folder) with the same networks; the training begins with its weights.
    :param half: store the weights in half precision.
    """

    hub_class: str | int | None = None
    start_from: str | Path | None = None
    half: bool = False


def _number(value: Any) -> Any:
    """The number that a text is, as the command line gives it; anything else as it is."""
    for kind in (int, float) if isinstance(value, str) else ():
        with contextlib.suppress(ValueError):
            return kind(value)
    return value


def _check(chosen: Mapping[str, Any]) -> None:
    """Check the values of options. :raises UsageError: a value is impossible."""
    objective, optimizer = chosen["objective"], chosen["optimizer"]
    if objective not in OBJECTIVES:
        raise UsageError(f"there is no objective {objective!r}.{did_you_mean(objective, OBJECTIVES)}")
    for key in ("encoder", "regressor"):
        table = chosen[key]
        if not isinstance(table, Mapping) or not isinstance(table.get("name"), str):
            raise UsageError(f"{key} must be a table with a name, e.g. {{'name': 'compact'}}, not {table!r}")
    for key in ("codes", "structure_layers"):
        count = chosen[key]
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise UsageError(f"{key} must be a whole number of at least 1, not {count!r}")
    images = chosen["distill"]
    if isinstance(images, bool) or not isinstance(images, int) or images < 0:
        raise UsageError(f"distill must be a whole number of images, 0 for none, not {images!r}")
    if optimizer is not None and optimizer not in OPTIMIZERS:
        raise UsageError(f"there is no optimizer {optimizer!r}.{did_you_mean(optimizer, OPTIMIZERS)}")
    if optimizer == "ranger" and objective != "published":
        raise UsageError("the aligned objective is trained by Adam; Ranger is for --objective published")
    share = chosen["appearance"]
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
        raise UsageError(f"appearance must be a number from 0 to 1, not {share!r}")
    rate = chosen["learning_rate"]
    if rate is not None and not (isinstance(rate, (int, float)) and 0 < rate <= 1):
        raise UsageError(f"learning_rate must lie above 0 and not above 1, not {rate!r}")


# Default weights of the terms by modality; docs/results.md says what they achieve.
ALIGNED_WEIGHTS: dict[str, AlignedWeights] = {
    "segmentation": AlignedWeights(
        centre=0.2,
        adversarial=0.5,
        edges=2.0,
        regions=0.5,
        sampled_edges=0.3,
        sampled_regions=0.2,
        consensus=0.5,
        dice=0.3,
    ),
    "landmarks": AlignedWeights(centre=0.2, edges=0.2, sampled_edges=0.2),
    "gray": AlignedWeights(reconstruction=5.0, centre=0.2, adversarial=0.5, edges=2.0, sampled_edges=0.5),
    "rgb": AlignedWeights(reconstruction=10.0),
}


def settings_row(modality: Modality) -> str:
    """The name of a modality's row in the tables of settings.

    A built-in modality has a row of its own. A plugin's modality takes the row of the built-in one that it is like
    (pictures, or label maps with a channel for each class); else the result is its own name, which has no row.
    """
    traits = modality.traits
    if modality.name in ALIGNED_WEIGHTS:
        return modality.name
    if traits.classes and modality.input_channels == modality.output_channels == len(traits.classes):
        return "segmentation"
    return "rgb" if traits.picture else modality.name


def aligned_weights(modality: str, overrides: Mapping[str, float]) -> AlignedWeights:
    """The weights of a row with overrides applied; unknown names raise :class:`UsageError`."""
    base = ALIGNED_WEIGHTS.get(modality, AlignedWeights())
    check_weights(overrides, [f.name for f in fields(AlignedWeights)], "aligned")
    for term in ("regions", "sampled_regions", "consensus", "dice"):
        if overrides.get(term) and modality != "segmentation":
            raise UsageError(f"the term {term!r} needs label maps; modality {modality!r} has no classes")
    return replace(base, **overrides)


def check_weights(weights: Mapping[str, float], terms: Iterable[str], objective: str) -> None:
    """Raise :class:`UsageError` for a term that the objective lacks, and for a weight that is no number from 0 on."""
    known = list(terms)
    for name, weight in weights.items():
        if name not in known:
            raise UsageError(f"the {objective} objective has no term {name!r}.{did_you_mean(name, known)}")
        if not (isinstance(weight, (int, float)) and math.isfinite(weight) and weight >= 0):
            raise UsageError(f"the weight of {name!r} must be a number of at least 0, not {weight!r}")

"""The base of recipes that train an anchored domain: everything from plan to bundle but the training steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from anchor_hub.bundles.tensorfile import halved
from anchor_hub.domains.anchored import AnchoredDomain
from anchor_hub.domains.base import modality_options
from anchor_hub.hubs.base import Hub
from anchor_hub.modality import Modality, build_modality
from anchor_hub.training.anchoring.domain import build_domain, of_class, published_modality, take_over
from anchor_hub.training.anchoring.options import AnchorOptions, DomainOptions
from anchor_hub.training.base import OWN, Contents, Recipe, Samples, TrainingPlan

Made = TypeVar("Made", bound="DomainRecipe")


class DomainRecipe(Recipe):
    """A recipe that trains the networks of one anchored domain in place.

    :param domain: from :func:`~anchor_hub.training.anchoring.domain.build_domain`; its networks are trained in place.
    :param options: see :class:`~anchor_hub.training.anchoring.options.AnchorOptions`.
    :param total_images: length of the run in images, for the learning-rate schedule; ``None`` keeps it constant.
    :param start: the bundle's record of the domain whose weights the networks began with.
    :param half: store the weights in half precision.
    """

    kind: ClassVar[str] = "domain"
    Options = DomainOptions
    requires: ClassVar[tuple[str, ...]] = ("hub",)

    def __init__(
        self,
        domain: AnchoredDomain,
        options: AnchorOptions,
        total_images: int | None = None,
        *,
        start: Mapping[str, str] | None = None,
        half: bool = False,
    ) -> None:
        self.domain, self.options, self.total_images = domain, options, total_images
        self.start, self.half = start, half
        self.hub, self.size, self._reads = domain.hub, domain.hub.size, domain.modality
        self._built_from: tuple[TrainingPlan, DomainOptions] | None = None

    @classmethod
    def build(cls: type[Made], plan: TrainingPlan, options: DomainOptions, required: Mapping[str, Any]) -> Made:
        """The recipe with a fresh domain; checks every choice of names and sizes."""
        return cls._built(plan, options, of_class(required["hub"], plan.name, options.hub_class))

    @classmethod
    def _built(
        cls: type[Made], plan: TrainingPlan, options: DomainOptions, hub: Hub, *, drawn: bool = False
    ) -> Made:
        table = published_modality(plan.modalities.get(OWN, {"name": "rgb"}), options)
        modality = build_modality({**table, "drawn": True} if drawn else table)
        domain = build_domain(plan.name, modality, hub, options, seed=plan.seed)
        start = None if options.start_from is None else take_over(domain, options.start_from)
        recipe = cls(domain, options, plan.images, start=start, half=options.half)
        recipe._built_from = plan, options
        return recipe

    def modality(self, data: str = OWN) -> Modality:
        """The modality of the domain."""
        return self._reads

    def fitted(self: Made, data: Mapping[str, Samples]) -> Made:
        """The recipe that fits the data: where landmarks are drawings instead of points, one that reads drawings."""
        if self._reads.traits.points and self._built_from is not None and data[OWN].rows[0].ndim == 3:
            return self._built(*self._built_from, self.hub, drawn=True)
        return self

    def describe(self) -> dict[str, Any]:
        """The settings that a resumed run must share, besides the trainer's own."""
        return {
            "domain": self.domain.name,
            "hub": self.hub.fingerprint,
            **({"class": self.hub.class_index} if self.hub.classes else {}),
            "modality": modality_options(self._reads),
            **({"start": self.start} if self.start else {}),
            "total_images": self.total_images,  # the learning rate's schedule depends on it
            **self.options.to_dict(),
        }

    def contents(self) -> Contents:
        """The contents of the domain's bundle, with weights in half precision where ``half`` asks for it."""
        domain, tensors = self.domain, self.domain.tensors()
        return Contents(
            domain.architecture(),
            {part: halved(state) for part, state in tensors.items()} if self.half else tensors,
            card=domain.card(),
            name=domain.name,
            modality=modality_options(domain.modality),
            hub=(domain.hub.name, domain.hub_fingerprint),
        )

    def record(self, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        names = "data samples images_seen minutes seed precision device processes batch mirror count where data_set"
        own = {"hub_class": self.hub.class_name, "options": self.options.to_dict(), "start": self.start}
        return self.chosen(facts, names, **own)

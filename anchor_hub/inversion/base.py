"""The contract of inverters: from pictures to the latents whose images come near them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from anchor_hub.errors import ConfigError, ImageError, UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.plugins.registry import registry
from anchor_hub.system.config import validate

#: An error must fall by this share to count as an improvement for ``patience``.
IMPROVEMENT = 1e-3
#: Called with the steps done and their number, from step 0 on.
Progress = Callable[[int, int], None]


class InverterOptions(BaseModel):
    """The options of one inverter; a subclass names them, with defaults and ranges."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass
class Inversion:
    """What inverting ``B`` pictures gave.

    Attributes:
        latents: W+ ``[B, L, D]``.
        errors: the method's own image error of each, ``[B]``; lower is nearer.
        noise: the noise maps found with the latents, one ``[B, 1, R, R]`` per layer; None: the hub's own.
        steps: steps of optimisation of each picture, int64 ``[B]``.
        record: plain values for files: what compared the pictures, with the SHA-256 of its weights.
    """

    latents: Tensor
    errors: Tensor
    noise: list[Tensor] | None = None
    steps: Tensor | None = None
    record: dict[str, Any] = field(default_factory=dict)


class Inverter(ABC):
    """Finds latents of a hub for pictures. Plugins register subclasses (``anchor_register_inverters``).

    Every picture is inverted on its own: what else is in the batch changes its latents by rounding at most.
    """

    Options: ClassVar[type[InverterOptions]] = InverterOptions
    #: Whether it cannot do without ``start``, the latents of a domain's encoder.
    needs_start: ClassVar[bool] = False
    #: Whether ``start`` is an encoder's latents also where nobody asks for an encoder by name.
    takes_encoder: ClassVar[bool] = True

    def __init__(self, hub: Hub, options: InverterOptions) -> None:
        self.hub, self.options = hub, options

    @abstractmethod
    def __call__(self, images: Tensor, *, start: Tensor | None = None) -> Tensor:
        """W+ latents ``[B, L, D]`` of ``[B, 3, H, W]`` in [-1, 1] at the hub's size.

        :param start: latents to begin from, e.g. an encoder's.
        """

    def run(
        self, images: Tensor, *, start: Tensor | None = None, names: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> Inversion:  # fmt: skip
        """Latents with their errors; the built-in inverters also report their steps while they work.

        :param names: what messages call the pictures.
        :raises ImageError: the optimisation of a picture met NaN or infinity.
        """
        latents = self(images, start=start)
        with torch.no_grad():
            errors = (self.hub.image(latents) - images.to(latents)).square().flatten(1).mean(1)
        check_finite(errors, names)
        return Inversion(latents, errors, record={"perceptual": "none"})


def inverter_name(given: str) -> str:
    """The registered name of a method, which may be spelt as papers do: ``w+``, ``encoder+w+``, ``projection+``."""
    name = given.strip().lower().replace("_", "-")
    name = name[:-1] + "-plus" if name.endswith("+") else name
    return name.replace("+", "-")


def open_inverter(name: str, hub: Hub, options: Mapping[str, Any], steps: int = 0) -> Inverter:
    """The registered inverter of that name for a hub.

    :param steps: what ``--invert`` says: the option of that name, where the inverter has it and ``options`` do not.
    :raises InverterNotFoundError: nobody registered it. :raises UsageError: an option that it does not take.
    """
    name = inverter_name(name)
    record = registry().inverters[name]
    kind = registry().load(record.spec.target, f"inverter {name!r}")
    if steps and "steps" in kind.Options.model_fields:
        options = {"steps": steps, **options}
    try:
        found: Inverter = kind(hub, validate(dict(options), kind.Options, f"options of the inverter {name!r}"))
    except ConfigError as error:
        raise UsageError(str(error)) from None
    return found


def check_images(hub: Hub, images: Tensor) -> None:
    """Raise UsageError unless ``images`` are ``[B, C, size, size]`` of the hub."""
    if images.ndim != 4 or tuple(images.shape[1:]) != (hub.config.image_channels, hub.size, hub.size):
        raise UsageError(
            f"inversion needs images [B, {hub.config.image_channels}, {hub.size}, {hub.size}], "
            f"got {list(images.shape)}"
        )


def picture_name(names: Sequence[str], index: int) -> str:
    """What messages call picture ``index`` of a batch."""
    return names[index] if index < len(names) else f"picture {index + 1}"


def check_finite(errors: Tensor, names: Sequence[str] = (), step: Tensor | None = None) -> None:
    """Raise ImageError naming the first picture whose error ``[B]`` is NaN or infinite; ``step``: where it became so.
    """
    bad = (~torch.isfinite(errors)).nonzero().flatten().tolist()
    if bad:
        at = "" if step is None else f" at step {int(step[bad[0]])}"
        raise ImageError(
            f"{picture_name(names, bad[0])}: the inversion met NaN or infinity{at}; take a smaller lr "
            "(--set lr=0.01) or another method"
        )

"""The hub: a frozen generator and its latent statistics. It computes only what is asked for.

:class:`Hub` is what every hub has; :mod:`anchor_hub.hubs.stylegan2` and :mod:`anchor_hub.hubs.biggan` are the families.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from anchor_hub.bundles.base import Bundle, fingerprint, open_bundle, write_bundle
from anchor_hub.bundles.tensorfile import halved
from anchor_hub.errors import BundleError, HubMismatchError, UsageError
from anchor_hub.hubs.classes import classes_file, find_class, read_classes
from anchor_hub.hubs.discriminators import load_discriminator
from anchor_hub.hubs.families import family_of_bundle, family_of_generator
from anchor_hub.hubs.statistics import STATISTICS_SAMPLES, covariance_roots
from anchor_hub.networks.blank import lay_out
from anchor_hub.networks.discriminators import describe_discriminator
from anchor_hub.networks.stylegan2 import SynthesisOutput, expand_latents
from anchor_hub.plugins.finding import bundle_folder
from anchor_hub.plugins.usable import plugins_behind
from anchor_hub.system.devices import resolve_device
from anchor_hub.system.seeds import derive_seed


class Hub(ABC):
    """A frozen generator with its latent statistics; :meth:`load` and :meth:`from_generator` give the right family.

    :param generator: the network; it is set to eval mode and its weights never get gradients.
    :param mean_latent: ``[D]``, mean of sampled latents.
    :param covariance: ``[D, D]``, their covariance.
    :param name: what users call the hub.
    :param fingerprint: SHA-256 over weights and configuration; computed where absent.
    :param classes: names of the classes of a class-conditional generator, in the order of its labels.

    Gradients flow through :meth:`image`, :meth:`features` and :meth:`synthesize` to the latents, never to the weights.
    A class-conditional hub makes pictures of the class that :meth:`of_class` fixes.
    """

    #: True: all layers of a latent take the same code unless styles are mixed (W+). False: each takes its chunk of z.
    layers_share_code: ClassVar[bool] = True
    #: What the field calls the latent.
    latent_name: ClassVar[str] = "w"

    def __init__(
        self,
        generator: nn.Module,
        mean_latent: Tensor,
        covariance: Tensor,
        *,
        name: str,
        fingerprint: str | None = None,
        classes: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.generator: Any = lay_out(generator.eval().requires_grad_(False))
        self.config: Any = generator.config
        weight = next(generator.parameters())
        self.mean_latent = mean_latent.detach().to(weight)
        self.covariance = covariance.detach().to(weight)
        expected = self.latent_dim
        if self.mean_latent.shape != (expected,) or self.covariance.shape != (expected, expected):
            raise BundleError(
                f"hub {name!r}: statistics of shapes {list(mean_latent.shape)} and {list(covariance.shape)} "
                f"do not fit a latent size of {expected}"
            )
        #: Names of the classes; empty for an unconditional hub.
        self.classes: tuple[str, ...] = tuple(classes)
        #: The class that this view of the hub fixes, or None.
        self.class_index: int | None = None
        self.path: Path | None = None
        self.fingerprint = fingerprint or self.current_fingerprint()
        self._base: Hub = self
        self._views: dict[int, Hub] = {}
        self._whitening: dict[float, tuple[Tensor, Tensor]] = {}

    # -- what it is ----------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Height and width of its images in pixels."""
        return int(self.config.size)

    @property
    def latent_dim(self) -> int:
        """D, the length of a code of one layer."""
        return int(self.config.latent_dim)

    @property
    def num_latents(self) -> int:
        """L, the layers of a complete latent ``[L, D]``."""
        return int(self.config.num_latents)

    @property
    @abstractmethod
    def feature_channels(self) -> dict[int, int]:
        """Channels of the feature map of each resolution, ascending."""

    @abstractmethod
    def architecture(self) -> dict[str, Any]:
        """``{"name", "config"}``, which the fingerprint covers together with the weights."""

    @property
    def device(self) -> torch.device:
        return self.mean_latent.device

    def __repr__(self) -> str:
        kind = f", class {self.class_name!r}" if self.class_index is not None else ""
        return f"Hub({self.name!r}, {self.size} px, {self.fingerprint[:12]}, {self.device}{kind})"

    def to(self, device: str | torch.device) -> Hub:
        """Move the hub (in place, with all its classes' views) and return it."""
        target = resolve_device(device)
        lay_out(self.generator.to(target))
        for hub in (self._base, *self._base._views.values()):
            hub.mean_latent, hub.covariance = hub.mean_latent.to(target), hub.covariance.to(target)
            hub._whitening.clear()
        return self

    def current_fingerprint(self) -> str:
        """The fingerprint of the weights as they are now; it equals :attr:`fingerprint` for as long as nobody
        tampered with the frozen generator."""
        return fingerprint(self.generator.state_dict(), self.architecture())

    def require_same(self, other: str, *, what: str, other_name: str = "another hub") -> None:
        """:raises HubMismatchError: unless the fingerprint ``other`` is this hub's."""
        if other != self.fingerprint:
            raise HubMismatchError(
                f"{what} belongs to hub {other_name} ({other[:12]}), not to hub {self.name!r} "
                f"({self.fingerprint[:12]}); domains translate only within one hub"
            )

    # -- classes -------------------------------------------------------------------------------------

    @property
    def base(self) -> Hub:
        """The hub without a fixed class."""
        return self._base

    @property
    def class_name(self) -> str | None:
        """The class that this view fixes, or None."""
        return None if self.class_index is None else self.classes[self.class_index]

    def class_number(self, which: str | int) -> int:
        """Index of a class by name or index, see :func:`~anchor_hub.hubs.classes.find_class`."""
        return find_class(self.classes, which, self.name)

    def of_class(self, which: str | int) -> Hub:
        """This hub with its class fixed: a view with the same weights and the same fingerprint.

        :raises UsageError, NotFoundError: see :meth:`class_number`.
        """
        index, base = self.class_number(which), self._base
        if index not in base._views:
            view = copy.copy(base)
            view.class_index, view._whitening = index, {}
            base._views[index] = view
        return base._views[index]

    def labels(self, count: int) -> Tensor:
        """``[count]`` labels of the fixed class. :raises UsageError: none is fixed."""
        if self.class_index is None:
            raise UsageError(
                f"hub {self.name!r} makes pictures of {len(self.classes)} classes; say of which: "
                f"--class {self.classes[0]!r}, or hub.of_class({self.classes[0]!r})"
            )
        return torch.full((count,), self.class_index, dtype=torch.long, device=self.device)

    # -- latents -------------------------------------------------------------------------------------

    @property
    def code_shape(self) -> tuple[int, ...]:
        """Shape of what one random draw fills."""
        return (self.latent_dim,)

    def sample_z(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None, start: int = 0
    ) -> Tensor:
        """``n`` standard normal codes (z ``[n, z_dim]``; chunks of z: ``[n, L, D]``) on the hub's device.

        With ``seed``, sample ``start + i`` is the same whatever ``n``, ``start`` and the device. With
        ``generator`` (default: torch's global one), the codes are the next ones of that stream.
        """
        shape = self.code_shape
        if seed is None:
            source = generator.device if generator is not None else "cpu"
            z = torch.randn(n, *shape, generator=generator, device=source)
        else:
            stream = torch.Generator()
            rows = [
                torch.randn(shape, generator=stream.manual_seed(derive_seed(seed, start + index)))
                for index in range(n)
            ]
            z = torch.stack(rows) if rows else torch.empty(0, *shape)
        return z.to(self.mean_latent)

    @abstractmethod
    def map(self, z: Tensor) -> Tensor:
        """The latents of codes that :meth:`sample_z` gives."""

    def sample(
        self,
        n: int,
        *,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        truncation: float = 1.0,
        start: int = 0,
    ) -> Tensor:
        """``n`` sampled latents, pulled towards the mean latent where ``truncation < 1``; see :meth:`sample_z`."""
        z = self.sample_z(n, seed=seed, generator=generator, start=start)
        with torch.no_grad():
            return self.truncate(self.map(z), truncation)

    def truncate(self, latents: Tensor, psi: float) -> Tensor:
        """The truncation trick ``mean + psi (w - mean)`` on ``[..., D]``."""
        return latents if psi == 1.0 else self.mean_latent + psi * (latents - self.mean_latent)

    def expand(self, latents: Tensor) -> Tensor:
        """Complete latents ``[B, L, D]`` of ``[B, D]``, ``[B, 1, D]`` or ``[B, L, D]``. :raises ValueError: others."""
        if latents.ndim == 3 and latents.shape[1] == 1:
            latents = latents[:, 0]
        if latents.shape[-1] != self.latent_dim:
            raise ValueError(
                f"latents of hub {self.name!r} end in {self.latent_dim}, got {list(latents.shape)}"
            )
        return expand_latents(latents, self.num_latents)

    def merge(self, structure: Tensor, style: Tensor, layers: Iterable[int]) -> Tensor:
        """Latents ``[B, L, D]`` with the rows ``layers`` of ``style`` and all others of ``structure``.

        Both may be ``[B or 1, D]``, ``[B or 1, 1, D]`` or ``[B or 1, L, D]``; a batch of 1 is repeated.

        :raises ValueError: a layer outside 0..L-1, or batches that do not fit each other.
        """
        mask = torch.zeros(self.num_latents, 1, dtype=torch.bool, device=self.device)
        for layer in layers:
            if not 0 <= layer < self.num_latents:
                raise ValueError(f"hub {self.name!r} has layers 0 to {self.num_latents - 1}, not {layer}")
            mask[layer] = True
        structure, style = self.expand(structure), self.expand(style)
        if 1 not in (structure.shape[0], style.shape[0]) and structure.shape[0] != style.shape[0]:
            raise ValueError(f"{style.shape[0]} styles do not fit {structure.shape[0]} latents")
        return torch.where(mask, style, structure)

    def whitening(self, floor: float = 1e-6) -> tuple[Tensor, Tensor]:
        """``(mean [D], matrix [D, D])``; ``(w - mean) @ matrix`` of sampled latents has covariance I.

        The matrix is symmetric (``covariance ** -1/2``); eigenvalues below ``floor`` times the largest are
        lifted to that, so that directions the mapping network hardly uses do not dominate a distance.
        """
        return self.mean_latent, self._powers(floor)[0]

    def colouring(self, floor: float = 1e-6) -> tuple[Tensor, Tensor]:
        """``(mean [D], matrix [D, D])``, the inverse of :meth:`whitening`: ``w = mean + white @ matrix``."""
        return self.mean_latent, self._powers(floor)[1]

    def _powers(self, floor: float) -> tuple[Tensor, Tensor]:
        """``covariance ** -1/2`` and ``covariance ** 1/2``."""
        if floor not in self._whitening:
            with torch.inference_mode(False):  # they are kept, and trainings compute gradients through them
                inverse, root = covariance_roots(self.covariance, floor)
                self._whitening[floor] = inverse.to(self.mean_latent), root.to(self.mean_latent)
        return self._whitening[floor]

    # -- images and features -------------------------------------------------------------------------

    def synthesize(
        self,
        latents: Tensor,
        *,
        features: Sequence[int] = (),
        image: bool = True,
        noise: str | Sequence[Tensor] = "const",
        learned: int | None = None,
    ) -> SynthesisOutput:
        """Feature maps and/or the image of latents; nothing else is computed.

        :param latents: as :meth:`expand` takes them.
        :param features: resolutions of the feature maps wanted.
        :param image: whether to compute the image; without it, no layer finer than the finest map runs.
        :param noise: StyleGAN2: ``const`` (the stored noise images), ``random``, ``none``, or one noise image per
            layer. BigGAN has no noise.
        :param learned: gradients are wanted only for the codes of so many leading layers; default: of all.
        :raises ValueError: a resolution the hub lacks. :raises UsageError: no class where one is needed.
        """
        missing = sorted(set(features) - set(self.feature_channels))
        if missing:
            raise ValueError(
                f"hub {self.name!r} has no feature maps of {missing} px; it has {list(self.feature_channels)}"
            )
        return self.run_learning(self.expand(latents), tuple(features), image, noise, learned)

    @abstractmethod
    def run(
        self, latents: Tensor, features: tuple[int, ...], image: bool, noise: str | Sequence[Tensor]
    ) -> SynthesisOutput:
        """What the generator makes of complete latents ``[B, L, D]``; see :meth:`synthesize`, which checks the call."""

    def run_learning(
        self, latents: Tensor, features: tuple[int, ...], image: bool, noise: Any, learned: int | None
    ) -> SynthesisOutput:
        """:meth:`run`; a family that can spare some layers' gradients overrides it."""
        return self.run(latents, features, image, noise)

    def image(self, latents: Tensor, *, noise: str | Sequence[Tensor] = "const") -> Tensor:
        """RGB ``[B, 3, H, W]``, nominally in [-1, 1] and not clamped."""
        output = self.synthesize(latents, noise=noise).image
        assert output is not None
        return output

    def features(
        self, latents: Tensor, resolutions: Sequence[int], *, noise: str | Sequence[Tensor] = "const"
    ) -> dict[int, Tensor]:
        """Resolution to feature map ``[B, C, R, R]``; the layers finer than the finest one do not run."""
        return self.synthesize(latents, features=resolutions, image=False, noise=noise).features

    # -- on disk -------------------------------------------------------------------------------------

    @classmethod
    def from_generator(
        cls,
        generator: nn.Module,
        name: str,
        *,
        seed: int = 0,
        samples: int = STATISTICS_SAMPLES,
        classes: Sequence[str] = (),
    ) -> Hub:
        """A hub around a trained generator; statistics that must be measured use ``samples`` codes of ``seed``.

        :param classes: names of a class-conditional generator's classes; default: their numbers.
        """
        family = family_of_generator(generator)
        return family.around(generator, name, seed=seed, samples=samples, classes=classes)

    @classmethod
    @abstractmethod
    def generator_types(cls) -> tuple[type[nn.Module], ...]:
        """The classes of this family's generators; :meth:`from_generator` finds the family by them."""

    @classmethod
    @abstractmethod
    def around(
        cls, generator: nn.Module, name: str, *, seed: int, samples: int, classes: Sequence[str]
    ) -> Hub:
        """The hub around a generator of this family, see :meth:`from_generator`."""

    @classmethod
    @abstractmethod
    def read(cls, bundle: Bundle, classes: Sequence[str]) -> Hub:
        """The hub of an opened bundle, its fingerprint computed; ``classes``: names that the bundle keeps.

        :raises BundleError: a damaged bundle.
        """

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """The weights and statistics that the bundle keeps: part -> name -> tensor."""
        return {"generator": self.generator.state_dict(), "statistics": self._statistics()}

    def _statistics(self) -> dict[str, Tensor]:
        """The bundle's part ``statistics``; empty where the statistics are known without measuring."""
        return {"mean_latent": self.mean_latent, "covariance": self.covariance}

    def save(
        self,
        folder: str | Path,
        *,
        provenance: Mapping[str, Any] | None = None,
        license: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
        card: str | None = None,
        extras: Mapping[str, bytes] | None = None,
        discriminator: nn.Module | None = None,
        exact_discriminator: bool = False,
        half: bool = False,
        overwrite: bool = False,
    ) -> Path:
        """Write the hub's bundle and return its folder.

        Parts: ``generator``, ``statistics`` (where measured), and ``discriminator`` where one is given, for trainings
        that start from it; it is stored in half precision unless ``exact_discriminator``. With ``half`` the generator
        is stored in half precision, too; its weights must be half-precision values already
        (``generator.half().float()``).
        """
        architecture = self.architecture()
        weights = self.generator.state_dict()
        if half and any(not torch.equal(rounded.float(), weights[key]) for key, rounded in halved(weights).items()):
            raise ValueError("half: the generator's weights must be half-precision values already")
        tensors = {"generator": halved(weights) if half else weights, "statistics": self._statistics()}
        if discriminator is not None:
            architecture["discriminator"] = describe_discriminator(discriminator)
            critic = discriminator.state_dict()
            tensors["discriminator"] = critic if exact_discriminator else halved(critic)
        return write_bundle(
            folder,
            kind="hub",
            name=self.name,
            tensors=tensors,
            architecture=architecture,
            hub=self.name,
            hub_fingerprint=self.fingerprint,
            plugins=plugins_behind("hub", architecture),
            provenance=provenance,
            license=license,
            metrics=metrics,
            extras={**(extras or {}), **classes_file(self.classes)},
            card=card or f"# {self.name}\n\nA {architecture['name']} hub, {self.size} px.\n",
            overwrite=overwrite,
        )

    @classmethod
    def load(cls, name_or_path: str | Path, device: str | torch.device = "cpu") -> Hub:
        """A fresh hub from a registered name or a bundle's folder; weights are checked against the fingerprint.

        :raises HubNotFoundError: neither a registered name nor a bundle.
        :raises BundleError: a damaged bundle, one of another kind, or weights that are not the fingerprint's.
        """
        bundle = open_bundle(bundle_folder(name_or_path, "hub"), "hub")
        hub = family_of_bundle(bundle).read(bundle, read_classes(bundle))
        if bundle.manifest.hub_fingerprint != hub.fingerprint:
            raise BundleError(
                f"{bundle.path}: the weights are not those of fingerprint "
                f"{str(bundle.manifest.hub_fingerprint)[:12]}; install the bundle again"
            )
        hub.path = bundle.path
        return hub.to(device)

    def discriminator(self) -> nn.Module:
        """The discriminator that the bundle keeps, freshly loaded, in train mode, on the hub's device.

        :raises MissingPartError: the hub was not loaded from a bundle, or its bundle keeps none.
        """
        return load_discriminator(self.name, self.path).to(self.device)

"""The hub: a frozen generator, its latent statistics, and only as much of its computation as somebody asks for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from anchor_hub.bundle import MANIFEST, Bundle, fingerprint, open_bundle, write_bundle
from anchor_hub.devices import resolve_device
from anchor_hub.errors import (
    AnchorError,
    BundleError,
    DomainNotFoundError,
    HubMismatchError,
    HubNotFoundError,
)
from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config, SynthesisOutput, expand_latents

if TYPE_CHECKING:
    from anchor_hub.domain import Domain

#: Mapped samples behind a hub's mean latent and covariance.
STATISTICS_SAMPLES = 10_000


class Hub:
    """A frozen StyleGAN2 generator with its latent statistics.

    :param generator: the network; it is set to eval mode and its weights never get gradients.
    :param mean_latent: ``[D]``, mean of mapped samples.
    :param covariance: ``[D, D]``, their covariance.
    :param name: what users call the hub.
    :param fingerprint: SHA-256 over weights and configuration; computed where absent.

    Gradients flow through :meth:`image`, :meth:`features` and :meth:`synthesize` to the latents, never to the weights.
    """

    def __init__(
        self,
        generator: Generator,
        mean_latent: Tensor,
        covariance: Tensor,
        *,
        name: str,
        fingerprint: str | None = None,
    ) -> None:
        self.name = name
        self.generator = generator.eval().requires_grad_(False)
        self.config: StyleGAN2Config = generator.config
        weight = next(generator.parameters())
        self.mean_latent = mean_latent.detach().to(weight)
        self.covariance = covariance.detach().to(weight)
        expected = self.config.latent_dim
        if self.mean_latent.shape != (expected,) or self.covariance.shape != (expected, expected):
            raise BundleError(
                f"hub {name!r}: statistics of shapes {list(mean_latent.shape)} and {list(covariance.shape)} "
                f"do not fit a latent size of {expected}"
            )
        self.fingerprint = fingerprint or self.current_fingerprint()
        self._whitening: dict[float, tuple[Tensor, Tensor]] = {}

    # -- what it is ----------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Height and width of its images in pixels."""
        return self.config.size

    @property
    def latent_dim(self) -> int:
        """D, the length of a z or w code."""
        return self.config.latent_dim

    @property
    def num_latents(self) -> int:
        """L, the layers of W+."""
        return self.config.num_latents

    @property
    def feature_channels(self) -> dict[int, int]:
        """Channels of the feature map of each resolution, ascending."""
        return dict(sorted(self.config.channels_of.items()))

    @property
    def device(self) -> torch.device:
        return self.mean_latent.device

    def __repr__(self) -> str:
        return f"Hub({self.name!r}, {self.size} px, {self.fingerprint[:12]}, {self.device})"

    def to(self, device: str | torch.device) -> Hub:
        """Move the hub (in place) and return it."""
        target = resolve_device(device)
        self.generator.to(target)
        self.mean_latent, self.covariance = self.mean_latent.to(target), self.covariance.to(target)
        self._whitening.clear()
        return self

    def current_fingerprint(self) -> str:
        """The fingerprint of the weights as they are now; it equals :attr:`fingerprint` for as long as nobody
        tampered with the frozen generator."""
        return fingerprint(_cpu_tensors(self.generator.state_dict()), _architecture(self.config))

    def require_same(self, other: str, *, what: str, other_name: str = "another hub") -> None:
        """:raises HubMismatchError: unless the fingerprint ``other`` is this hub's."""
        if other != self.fingerprint:
            raise HubMismatchError(
                f"{what} belongs to hub {other_name} ({other[:12]}), not to hub {self.name!r} "
                f"({self.fingerprint[:12]}); domains translate only within one hub"
            )

    # -- latents -------------------------------------------------------------------------------------

    def sample_z(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None, start: int = 0
    ) -> Tensor:
        """``n`` standard normal codes ``[n, D]`` on the hub's device.

        With ``seed``, sample ``start + i`` is the same whatever ``n``, ``start`` and the device; with
        ``generator`` (or neither: torch's global one) the next ones of that stream.
        """
        if seed is None:
            source = generator.device if generator is not None else "cpu"
            z = torch.randn(n, self.latent_dim, generator=generator, device=source)
        else:
            stream = torch.Generator()
            rows = [
                torch.randn(self.latent_dim, generator=stream.manual_seed(derive_seed(seed, start + index)))
                for index in range(n)
            ]
            z = torch.stack(rows) if rows else torch.empty(0, self.latent_dim)
        return z.to(self.mean_latent)

    def map(self, z: Tensor) -> Tensor:
        """``z [n, D]`` to ``w [n, D]`` through the mapping network."""
        return self.generator.mapping(z.to(self.mean_latent))

    def sample(
        self,
        n: int,
        *,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        truncation: float = 1.0,
        start: int = 0,
    ) -> Tensor:
        """``n`` mapped samples ``w [n, D]``, pulled towards the mean latent where ``truncation < 1``."""
        z = self.sample_z(n, seed=seed, generator=generator, start=start)
        with torch.no_grad():
            return self.truncate(self.map(z), truncation)

    def truncate(self, latents: Tensor, psi: float) -> Tensor:
        """The truncation trick ``mean + psi (w - mean)`` on ``[..., D]``."""
        return latents if psi == 1.0 else self.mean_latent + psi * (latents - self.mean_latent)

    def expand(self, latents: Tensor) -> Tensor:
        """``[B, D]``, ``[B, 1, D]`` or ``[B, L, D]`` to W+ ``[B, L, D]``. :raises ValueError: any other shape."""
        if latents.ndim == 3 and latents.shape[1] == 1:
            latents = latents[:, 0]
        if latents.shape[-1] != self.latent_dim:
            raise ValueError(
                f"latents of hub {self.name!r} end in {self.latent_dim}, got {list(latents.shape)}"
            )
        return expand_latents(latents, self.num_latents)

    def merge(self, structure: Tensor, style: Tensor, layers: Iterable[int]) -> Tensor:
        """W+ ``[B, L, D]`` with the rows ``layers`` of ``style`` and all others of ``structure``.

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
        """``(mean [D], matrix [D, D])``; ``(w - mean) @ matrix`` of mapped samples has covariance I.

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
            values, vectors = torch.linalg.eigh(self.covariance.double().cpu())
            values = values.clamp(min=max(float(values.max()) * floor, 1e-12))
            self._whitening[floor] = (
                ((vectors * values.rsqrt()) @ vectors.T).to(self.mean_latent),
                ((vectors * values.sqrt()) @ vectors.T).to(self.mean_latent),
            )
        return self._whitening[floor]

    # -- images and features -------------------------------------------------------------------------

    def synthesize(
        self,
        latents: Tensor,
        *,
        features: Sequence[int] = (),
        image: bool = True,
        noise: str | Sequence[Tensor] = "const",
    ) -> SynthesisOutput:
        """Feature maps and/or the image of latents, and nothing beyond what was asked for.

        :param latents: as :meth:`expand` takes them.
        :param features: resolutions of the feature maps wanted (activations right before that resolution's ToRGB).
        :param image: whether to compute the image; without it, no layer finer than the finest map runs.
        :param noise: ``const`` (the stored noise images), ``random``, ``none``, or one noise image per layer.
        :raises ValueError: a resolution the hub lacks.
        """
        missing = sorted(set(features) - set(self.feature_channels))
        if missing:
            raise ValueError(
                f"hub {self.name!r} has no feature maps of {missing} px; it has {list(self.feature_channels)}"
            )
        return self.generator.synthesis(
            self.expand(latents), noise=noise, features=tuple(features), image=image
        )

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
        cls, generator: Generator, name: str, *, seed: int = 0, samples: int = STATISTICS_SAMPLES
    ) -> Hub:
        """A hub around a trained generator; the statistics come from ``samples`` mapped codes of ``seed``."""
        mean, covariance = latent_statistics(generator, seed=seed, samples=samples)
        return cls(generator, mean, covariance, name=name)

    def save(
        self,
        folder: str | Path,
        *,
        provenance: Mapping[str, Any] | None = None,
        license: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
        card: str | None = None,
        extras: Mapping[str, bytes] | None = None,
        overwrite: bool = False,
    ) -> Path:
        """Write the hub's bundle (parts ``generator`` and ``statistics``) and return its folder."""
        return write_bundle(
            folder,
            kind="hub",
            name=self.name,
            tensors={
                "generator": _cpu_tensors(self.generator.state_dict()),
                "statistics": _cpu_tensors({"mean_latent": self.mean_latent, "covariance": self.covariance}),
            },
            architecture=_architecture(self.config),
            hub=self.name,
            hub_fingerprint=self.fingerprint,
            provenance=dict(provenance or {}),
            license=dict(license or {}),
            metrics=dict(metrics or {}),
            extras=extras,
            card=card or f"# {self.name}\n\nA StyleGAN2 hub, {self.size} px.\n",
            overwrite=overwrite,
        )

    @classmethod
    def load(cls, name_or_path: str | Path, device: str | torch.device = "cpu") -> Hub:
        """A fresh hub from a registered name or a bundle's folder; weights are checked against the fingerprint.

        :raises HubNotFoundError: neither a registered name nor a bundle.
        :raises BundleError: a damaged bundle, one of another kind, or weights that are not the fingerprint's.
        """
        bundle = open_bundle(hub_bundle(name_or_path), "hub")
        generator = Generator(_read_config(bundle))
        generator.load_state_dict(bundle.tensors("generator", generator.state_dict()))
        size = generator.config.latent_dim
        statistics = bundle.tensors("statistics", {"mean_latent": (size,), "covariance": (size, size)})
        hub = cls(generator, statistics["mean_latent"], statistics["covariance"], name=bundle.manifest.name)
        if bundle.manifest.hub_fingerprint != hub.fingerprint:
            raise BundleError(
                f"{bundle.path}: the weights are not those of fingerprint "
                f"{str(bundle.manifest.hub_fingerprint)[:12]}; install the bundle again"
            )
        return hub.to(device)


def derive_seed(seed: int, *parts: int | str) -> int:
    """An independent 63-bit seed for a part of what ``seed`` fixes (sample 5, style 2, ...)."""
    text = ":".join(str(part) for part in (seed, *parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


@torch.no_grad()
def latent_statistics(
    generator: Generator, *, seed: int = 0, samples: int = STATISTICS_SAMPLES, chunk: int = 1000
) -> tuple[Tensor, Tensor]:
    """Mean ``[D]`` and covariance ``[D, D]`` of ``samples`` mapped codes, accumulated in float64."""
    stream = torch.Generator().manual_seed(seed)
    weight = next(generator.parameters())
    mapped = []
    for begin in range(0, samples, chunk):
        z = torch.randn(min(chunk, samples - begin), generator.config.latent_dim, generator=stream)
        mapped.append(generator.mapping(z.to(weight)).double().cpu())
    w = torch.cat(mapped)
    centred = w - w.mean(dim=0)
    return w.mean(dim=0).float(), (centred.T @ centred / max(len(w) - 1, 1)).float()


def hub_bundle(name_or_path: str | Path) -> Path:
    """Folder of the hub's bundle, by registered name or path. :raises HubNotFoundError: neither."""
    return _bundle_path(name_or_path, "hub")


def domain_bundle(name_or_path: str | Path) -> Path:
    """Folder of the domain's bundle, by registered name or path.

    :raises DomainNotFoundError: neither, or a domain that is known but has not been trained on this machine.
    """
    return _bundle_path(name_or_path, "domain")


def load_hub(name: str | Path, device: str | torch.device = "auto") -> Hub:
    """The hub of that name (or bundle folder), loaded once per process and device."""
    target = resolve_device(device)
    path = hub_bundle(name)
    key = (*_identity(path), str(target))
    if key not in _hubs:
        _hubs[key] = Hub.load(path, target)
    return _hubs[key]


def load_domain(name: str | Path, hub: Hub | None = None, device: str | torch.device = "auto") -> Domain:
    """The domain of that name (or bundle folder) with its hub, loaded once per process and device.

    :param hub: the hub to use; by default the installed one with the domain's fingerprint.
    :raises DomainNotFoundError: no such domain, or not trained yet (the message says how).
    :raises HubMismatchError: the domain belongs to another hub.
    :raises BundleError: a damaged bundle, or its hub is not installed.
    """
    from anchor_hub.domain import AnchoredDomain

    bundle = open_bundle(domain_bundle(name), "domain")
    if hub is None:
        hub = _hub_of(bundle, name, device)
    key = (*_identity(bundle.path), id(hub))
    if key not in _domains or _domains[key].hub is not hub:
        _domains[key] = AnchoredDomain.load(bundle, hub)
    return _domains[key]


_hubs: dict[tuple[str, int, str], Hub] = {}
_domains: dict[tuple[str, int, int], Any] = {}


def clear_cache() -> None:
    """Forget the hubs and domains loaded so far (frees their memory)."""
    _hubs.clear()
    _domains.clear()


def _hub_of(bundle: Bundle, name: str | Path, device: str | torch.device) -> Hub:
    """The installed hub with a domain's fingerprint: the one its manifest names, else any that has it."""
    wanted, declared = bundle.manifest.hub_fingerprint, bundle.manifest.hub
    found = []
    for candidate in sorted(_registered("hub"), key=lambda other: other != declared):
        try:
            manifest = open_bundle(hub_bundle(candidate)).manifest
        except AnchorError:
            continue
        if manifest.hub_fingerprint == wanted:
            return load_hub(candidate, device)
        found.append(f"{candidate} ({str(manifest.hub_fingerprint)[:12]})")
    raise HubMismatchError(
        f"domain {str(name)!r} was trained on hub {declared or 'unknown'} ({str(wanted)[:12]}), which is not "
        f"installed; installed: {', '.join(found) or 'none'}. Install that hub (anchor hubs install), or "
        f"train the domain on an installed one: anchor add-domain {Path(name).name}"
    )


def _bundle_path(name_or_path: str | Path, kind: str) -> Path:
    text = str(name_or_path)
    names = _registered(kind)
    # A registered name wins over a folder of that name in the current directory.
    if isinstance(name_or_path, Path) or text not in names:
        if isinstance(name_or_path, Path) or "/" in text or "\\" in text or (Path(text) / MANIFEST).is_file():
            return Path(name_or_path)
    record = names[text]
    if record.bundle is not None:
        return record.bundle
    if kind == "hub":
        raise HubNotFoundError(
            f"hub {text!r} is registered by {record.label}, but its bundle {record.spec.bundle} is not "
            f"there; install it (anchor hubs install) or train it (anchor hubs train {text})"
        )
    raise DomainNotFoundError(
        f"domain {text!r} is known, but not trained on this machine yet; train it: anchor add-domain {text}"
    )


def _registered(kind: str) -> Mapping[str, Any]:
    from anchor_hub.registry import registry

    return registry().hubs if kind == "hub" else registry().domains


def _identity(path: Path) -> tuple[str, int]:
    """Path and time of change: a bundle that was replaced is loaded again."""
    try:
        return str(path.resolve()), (path / MANIFEST).stat().st_mtime_ns
    except OSError:
        return str(path), 0


def _architecture(config: StyleGAN2Config) -> dict[str, Any]:
    return {"name": "stylegan2", "config": config.to_dict()}


def _read_config(bundle: Bundle) -> StyleGAN2Config:
    architecture = bundle.manifest.architecture
    if architecture.get("name") != "stylegan2":
        raise BundleError(
            f"{bundle.path}: hub architecture {architecture.get('name')!r} is unknown; known: 'stylegan2'"
        )
    try:
        return StyleGAN2Config.from_dict(architecture["config"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"{bundle.path}: bad hub architecture: {error}") from None


def _cpu_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().to("cpu").contiguous() for name, value in tensors.items()}

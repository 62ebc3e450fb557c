"""Aligned multi-domain data sets: every domain's picture of the same random latents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import anchor_hub
from anchor_hub.domains.base import Domain, modality_options
from anchor_hub.domains.decoding import decode_all, load_domains
from anchor_hub.errors import DataError, UsageError
from anchor_hub.system.config import dump_yaml
from anchor_hub.system.files import new_folder
from anchor_hub.system.inputs import shown
from anchor_hub.system.outputs import check_folder, check_sheet
from anchor_hub.system.seeds import derive_seed
from anchor_hub.translation.styles import check_truncation

#: A contact sheet shows this many latents at most.
GRID_ROWS = 16


def synthesize_set(
    domains: Sequence[str | Path | Domain],
    count: int,
    output: str | Path,
    *,
    seed: int = 0,
    truncation: float = 1.0,
    batch: int = 16,
    grid: str | Path | None = None,
    device: str | torch.device = "auto",
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a data set of ``count`` random latents seen by every domain, whole or not at all, and return its folder.

    ``<output>/<domain>/000000.png`` and so on, with the same names in every domain; ``latents.safetensors``
    with ``w [count, D]``, or ``z [count, L, D]`` of a BigGAN hub (truncated already); ``dataset.yaml`` with the hub,
    the domains' modalities and the settings. Latent i of a seed is the same for every ``count`` and set of domains.

    :param grid: a PNG with one row per latent (at most ``GRID_ROWS``) and one column per domain.
    :param overwrite: replace a data set that this command wrote before.
    :raises UsageError: a folder that is in use, a bad number, or see :func:`load_domains`.
    """
    folder = Path(output)
    if count < 1:
        raise UsageError(f"-n must be at least 1, got {count}")
    check_truncation(truncation)
    check_sheet(grid)
    check_folder(folder, "dataset.yaml", "data set of this command", overwrite=overwrite, empty_is_new=True)
    loaded = load_domains(domains, device)
    hub = loaded[0].hub
    digits = max(6, len(str(count - 1)))
    rows: list[list[Tensor]] = []
    latents: list[Tensor] = []
    try:
        with new_folder(folder, overwrite=True) as temporary, ThreadPoolExecutor(1) as writing:
            for domain in loaded:
                (temporary / domain.name).mkdir()

            def write(start: int, columns: list[Tensor]) -> None:
                for domain, column in zip(loaded, columns, strict=True):
                    for row, sample in enumerate(column):
                        name = f"{start + row:0{digits}d}{domain.modality.output_suffix}"
                        domain.modality.write(sample, temporary / domain.name / name)
                if progress is not None:
                    progress(start + len(columns[0]), count)

            previous = None
            for start in range(0, count, batch):
                size = min(batch, count - start)
                w = hub.sample(size, seed=derive_seed(seed, "synthesize"), truncation=truncation, start=start)
                columns = decode_all(loaded, w)
                latents.append(w.cpu())
                for row in range(min(size, GRID_ROWS - len(rows)) if grid is not None else 0):
                    pairs = zip(loaded, columns, strict=True)
                    rows.append([domain.modality.preview(column[row], hub.size) for domain, column in pairs])
                if previous is not None:
                    previous.result()
                previous = writing.submit(write, start, columns)
            if previous is not None:
                previous.result()
            _write_latents(temporary / "latents.safetensors", hub.latent_name, torch.cat(latents))
            description = _describe(loaded, count, seed, truncation)
            (temporary / "dataset.yaml").write_text(dump_yaml(description), encoding="utf-8")
    except OSError as error:
        raise DataError(f"{shown(folder)}: cannot be written ({error.strerror or error})") from error
    if grid is not None:
        from anchor_hub.images.grid import contact_sheet, save_png, sheet_scale

        names = [domain.name for domain in loaded]
        Path(grid).parent.mkdir(parents=True, exist_ok=True)
        save_png(contact_sheet(rows, scale=sheet_scale(hub.size), labels=names), Path(grid))
    return folder


def _write_latents(path: Path, name: str, latents: Tensor) -> None:
    from safetensors.torch import save_file

    save_file({name: latents.float().contiguous()}, path)


def _describe(domains: Sequence[Domain], count: int, seed: int, truncation: float) -> dict[str, Any]:
    hub = domains[0].hub
    return {
        "hub": hub.name,
        "hub_fingerprint": hub.fingerprint,
        "size": hub.size,
        "count": count,
        "seed": seed,
        "truncation": truncation,
        "latents": "latents.safetensors",
        "domains": {domain.name: _describe_domain(domain) for domain in domains},
        "library": f"anchor-hub {anchor_hub.__version__}",
    }


def _describe_domain(domain: Domain) -> dict[str, Any]:
    described: dict[str, Any] = {"modality": modality_options(domain.modality)}
    if domain.hub.class_name is not None:
        described["class"] = domain.hub.class_name
    return described

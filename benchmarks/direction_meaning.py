"""Does a direction of a hub keep its meaning in a fine-tuned domain (figure 6 of UI2I)? Measured by the bundled judges.

    python -m benchmarks.direction_meaning --hub faces-64 --domain toon-ft --domain cat-ft --latents 100 --seed 0

The same latents are moved along each direction, in the hub and in the domain. The judges of faces read the hub's
pictures, the judges of creatures the domain's. A factor's change is the mean over the latents of (reading of the moved
picture - reading of the picture itself), in the factor's standard deviation over rendered faces; the probability of a
yes or no in halves. The changes of all factors at all strengths are a direction's change vector. Factors are those that
both pictures show and both judges read: each judge's agreement with the truth on held-out renders is at least 0.5.

The cosine compares a direction's change vector in the hub with the one in the domain; by chance: with those of the
domain's other directions. The correlation is over the changes of all directions, strengths and factors.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from anchor_faces.benchmark.factor_groups import FLAG, STYLE, kept_groups
from anchor_faces.benchmark.judge_kinds import JudgeKind, judge_kind_of
from anchor_faces.benchmark.judges import Judges, load_judges
from anchor_faces.benchmark.samples import render_modality
from anchor_hub.bundles.base import open_bundle
from anchor_hub.domains.base import Domain
from anchor_hub.domains.loading import load_domain
from anchor_hub.editing.directions import Directions, directions_of
from anchor_hub.evaluation.distance import pictures_of
from anchor_hub.hubs.base import Hub
from anchor_hub.hubs.loading import load_hub

#: Strengths along a direction, in standard deviations of the hub's latents.
STRENGTHS = (-2.0, 2.0)
#: A factor counts where a judge's agreement with the truth is at least this.
READABLE = 0.5
HUB_PICTURE = "face"


@dataclass(frozen=True)
class Agreement:
    """How alike the changes along directions are in two models.

    Attributes:
        cosines: of each direction's change vectors. by_chance: mean cosine of two different directions' vectors.
        correlation: Pearson's r over all changes. factors: the same for each factor alone.
        sizes: ``[directions, 2]``, length of the change vectors in the two models, per entry (root mean square).
    """

    cosines: list[float]
    by_chance: float
    correlation: float
    factors: dict[str, float]
    sizes: list[list[float]]


class Watched:
    """A model whose pictures judges read: how its factors change along a direction.

    :param latents: ``[N, L, D]``, the same for every model.
    """

    def __init__(self, model: Hub | Domain, judges: Judges, latents: Tensor) -> None:
        self.model, self.judges, self.latents = model, judges, latents
        self.names = [factor.name for factor in judges.network.judged]
        self.still = self._read(latents)

    @torch.no_grad()
    def _read(self, latents: Tensor) -> Tensor:
        pictures = torch.cat([pictures_of(self.model, part) for part in latents.split(25)])
        return self.judges.read(pictures.cpu()).factors.double()

    def changes(self, directions: Directions, number: int, strengths: Sequence[float]) -> dict[str, Tensor]:
        """Factor -> mean change at each strength ``[strengths]``, in deviations of the factor over rendered faces."""
        moved = [self._read(directions.moved(self.latents, number, strength)) - self.still for strength in strengths]
        found = torch.stack([change.mean(0) for change in moved]) / units(self.names)
        print(f"{self.model.name}: direction {number} measured", file=sys.stderr, flush=True)
        return {name: found[:, place] for place, name in enumerate(self.names)}


def units(factors: Sequence[str]) -> Tensor:
    """The unit of each factor's changes ``[factors]``, float64: the deviation that the judges of faces learned from."""
    network = load_judges().network
    found = {factor.name: (factor, place) for place, factor in enumerate(network.judged)}
    scales = [0.5 if found[name][0].kind == FLAG else float(network.factor_scale[found[name][1]]) for name in factors]
    return torch.tensor(scales, dtype=torch.float64)


def agreement(first: Tensor, second: Tensor, factors: Sequence[str]) -> Agreement:
    """How alike two models' changes ``[directions, strengths, factors]`` are."""
    flat = [F.normalize(one.flatten(1), dim=1) for one in (first, second)]
    cosines = flat[0] @ flat[1].T
    count = len(cosines)
    others = (cosines.sum() - cosines.diagonal().sum()) / max(count * (count - 1), 1)
    by_factor = {name: pearson(first[..., place], second[..., place]) for place, name in enumerate(factors)}
    sizes = torch.stack([one.flatten(1).square().mean(1).sqrt() for one in (first, second)], dim=1)
    return Agreement(cosines.diagonal().tolist(), float(others), pearson(first, second), by_factor, sizes.tolist())


def pearson(first: Tensor, second: Tensor) -> float:
    """Pearson's r of two tensors of one shape."""
    return float(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1])


def _kind(picture: str) -> JudgeKind:
    """The judges of a picture of the renderer."""
    kind = judge_kind_of(picture)
    if kind is None:
        raise SystemExit(f"no judges read pictures of {picture!r}")
    return kind


def readable(picture: str) -> dict[str, float]:
    """Factor -> agreement of the bundled judges with the truth of a picture's held-out renders, without hair styles."""
    kind = _kind(picture)
    held: Mapping[str, Any] = open_bundle(kind.folder).manifest.metrics["held_out"]
    found = (held if "factors" in held else held[picture])["factors"]
    plain = {factor.name for factor in kind.factors if factor.kind != STYLE}
    return {name: float(row["agreement"] or 0) for name, row in found.items() if name in plain}


def shared_factors(picture: str) -> list[str]:
    """The factors that a picture of this kind and a face both show, and that both judges read well enough."""
    groups, kind = kept_groups(HUB_PICTURE, picture), _kind(picture)
    theirs, ours = readable(picture), readable(HUB_PICTURE)
    return [
        factor.name
        for factor in kind.factors
        if factor.group in groups and min(theirs.get(factor.name, 0), ours.get(factor.name, 0)) >= READABLE
    ]


def measure(
    hub: Hub, names: Sequence[str], latents: int, seed: int, count: int, strengths: Sequence[float] = STRENGTHS
) -> dict[str, dict[str, Any]]:
    """The agreement of the hub with each domain over its first ``count`` directions, and the changes themselves."""
    directions, codes = directions_of(hub), hub.expand(hub.sample(latents, seed=seed))
    watched = {hub.name: Watched(hub, load_judges(), codes)}
    for name in names:
        watched[name] = Watched(load_domain(name, hub), load_judges(kind=_kind(render_modality(name))), codes)
    rows = [
        {name: one.changes(directions, number, strengths) for name, one in watched.items()} for number in range(count)
    ]
    result = {}
    for name in names:
        factors = shared_factors(render_modality(name))
        ours, theirs = (
            torch.stack([torch.stack([row[which][factor] for factor in factors], dim=-1) for row in rows])
            for which in (hub.name, name)
        )
        result[name] = vars(agreement(ours, theirs, factors)) | {"hub": ours.tolist(), "domain": theirs.tolist()}
    return result


def table(result: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown: a row for each direction, and the figures over all of them."""
    found = {name: Agreement(**{key: row[key] for key in Agreement.__annotations__}) for name, row in result.items()}
    heads = [f"cosine, {name}" for name in found]
    lines = ["| direction | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    count = len(next(iter(found.values())).cosines)
    for number in range(count):
        lines.append(f"| {number} | " + " | ".join(f"{one.cosines[number]:.2f}" for one in found.values()) + " |")
    means = [sum(one.cosines) / count for one in found.values()]
    lines.append("| mean | " + " | ".join(f"{mean:.2f}" for mean in means) + " |")
    lines.append("| another direction's | " + " | ".join(f"{one.by_chance:.2f}" for one in found.values()) + " |")
    lines.append("| correlation of all changes | " + " | ".join(f"{one.correlation:.2f}" for one in found.values()))
    lines[-1] += " |"
    for name, one in found.items():
        lines.append(f"\n{name}, by factor: " + ", ".join(f"{key} {value:.2f}" for key, value in one.factors.items()))
        lines.append("size in hub and domain: " + ", ".join(f"{a:.2f} {b:.2f}" for a, b in one.sizes))
    return "\n".join(lines)


def main() -> None:
    """Print the table, or with --json everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hub", default="faces-64")
    parser.add_argument("--domain", action="append", required=True)
    parser.add_argument("--latents", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--directions", type=int, default=10)
    parser.add_argument("--strengths", type=float, nargs="+", default=STRENGTHS)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    hub = load_hub(chosen.hub, "cpu")
    result = measure(hub, chosen.domain, chosen.latents, chosen.seed, chosen.directions, chosen.strengths)
    print(json.dumps(result, indent=1) if chosen.json else table(result))


if __name__ == "__main__":
    main()

"""How well factors read off pictures agree with the true ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from anchor_faces.benchmark.factor_groups import FLAG, GROUPS, JUDGED, STYLE, JudgedFactor

#: Landmarks that tell the turn of the head, counted from 0.
NOSE, JAW_LEFT, JAW_RIGHT = 30, 0, 16


def r_squared(found: Tensor, truth: Tensor) -> float | None:
    """Coefficient of determination: 1 is perfect, 0 is as good as always answering the true mean, negative is worse.

    None where the truth does not vary.
    """
    found, truth = found.double(), truth.double()
    spread = (truth - truth.mean()).square().sum()
    return float(1 - (found - truth).square().sum() / spread) if len(truth) > 1 and float(spread) > 0 else None


def correlation(found: Tensor, truth: Tensor) -> float | None:
    """Pearson's r, -1 to 1; 0 where only the truth varies, None where the truth does not vary."""
    found, truth = found.double() - found.double().mean(), truth.double() - truth.double().mean()
    if len(truth) < 2 or float(truth.square().sum()) == 0:
        return None
    length = (found.square().sum() * truth.square().sum()).sqrt()
    return float((found * truth).sum() / length) if float(length) > 0 else 0.0


def cohens_kappa(found: Tensor, truth: Tensor, classes: int) -> float | None:
    """Agreement of class numbers beyond chance: 1 is perfect, 0 as good as independent guesses of the same shares."""
    if not len(truth):
        return None
    counts = torch.bincount(truth.long() * classes + found.long(), minlength=classes**2).double()
    shares = counts.reshape(classes, classes) / len(truth)
    by_chance = float((shares.sum(0) * shares.sum(1)).sum())
    return None if by_chance >= 1 else (float(shares.diag().sum()) - by_chance) / (1 - by_chance)


def balanced_accuracy(found: Tensor, truth: Tensor) -> float | None:
    """Mean of the shares of right answers among the true yeses and the true noes; 0.5 is guessing.

    None where the truth lacks yeses or noes.
    """
    yes = truth >= 0.5
    if not bool(yes.any()) or bool(yes.all()):
        return None
    hits = ((found >= 0.5) == yes).double()
    return float((hits[yes].mean() + hits[~yes].mean()) / 2)


def factor_score(factor: JudgedFactor, found: Tensor, truth: Tensor) -> dict[str, Any]:
    """One factor's agreement over samples ``[N]`` each; samples whose truth is NaN (hidden) are left out.

    ``score`` is R² for values, balanced accuracy for flags, accuracy for hair styles (``measure`` says which).
    ``agreement`` has one scale for all factors, 0 chance and 1 perfect: Pearson's r (also of a flag's probability), and
    Cohen's kappa for hair styles.
    """
    seen = ~truth.isnan() & ~found.isnan()
    found, truth = found[seen], truth[seen]
    if factor.kind == STYLE:
        classes = factor.width
        score = float((found == truth).double().mean()) if len(truth) else None
        measure, agreement = "accuracy", cohens_kappa(found, truth, classes)
    elif factor.kind == FLAG:
        measure, score, agreement = "balanced accuracy", balanced_accuracy(found, truth), correlation(found, truth)
    else:
        measure, score, agreement = "R2", r_squared(found, truth), correlation(found, truth)
    return {"measure": measure, "score": score, "agreement": agreement, "samples": int(len(truth))}


def factor_scores(
    found: Tensor, truth: Tensor, factors: Sequence[JudgedFactor] = JUDGED, groups: Sequence[str] = GROUPS
) -> dict[str, dict[str, Any]]:
    """:func:`factor_score` of the ``factors`` in these groups, of ``[N, len(factors)]`` each."""
    return {
        factor.name: {"group": factor.group, **factor_score(factor, found[:, place], truth[:, place])}
        for place, factor in enumerate(factors)
        if factor.group in groups
    }


def turn(points: Tensor) -> Tensor:
    """How far faces are turned, ``[...]`` in pixels: from the middle of the jaw's ends to the tip of the nose.

    :param points: 68 landmarks ``[..., 68, 2]``; right is positive.
    """
    return points[..., NOSE, 0] - (points[..., JAW_LEFT, 0] + points[..., JAW_RIGHT, 0]) / 2

"""The linear consensus of a regressor's readings."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from anchor_hub.networks.regressors import build_regressor
from anchor_hub.training.anchoring import consensus
from anchor_hub.training.anchoring.consensus import LinearConsensus

CHANNELS, CLASSES, SIZE = {4: 6, 8: 5, 16: 4}, 4, 16


def fresh() -> LinearConsensus:
    return LinearConsensus(build_regressor("compact", CHANNELS, (8, 16), CLASSES, SIZE, width=4), CHANNELS)


def features(seed: int, batch: int = 8) -> dict[int, torch.Tensor]:
    stream = torch.Generator().manual_seed(seed)
    return {r: torch.randn(batch, c, r, r, generator=stream) for r, c in CHANNELS.items()}


def one_hot(labels: torch.Tensor) -> torch.Tensor:
    return F.one_hot(labels, CLASSES).permute(0, 3, 1, 2).float()


def truth(maps: dict[int, torch.Tensor]) -> torch.Tensor:
    """Label maps that a linear map of the feature maps draws; class 3 is rare."""
    normalised = [F.interpolate(F.instance_norm(maps[r]), SIZE, mode="bilinear") for r in (8, 16)]
    weights = torch.randn(CLASSES, 9, generator=torch.Generator().manual_seed(7))
    logits = torch.einsum("kc,bchw->bkhw", weights, torch.cat(normalised, 1))
    return (logits - torch.tensor([0, 0, 0, 3.0])[:, None, None]).argmax(1)


def noisy(labels: torch.Tensor, seed: int, share: float = 0.3) -> torch.Tensor:
    stream = torch.Generator().manual_seed(seed)
    wrong = torch.rand(labels.shape, generator=stream) < share
    return torch.where(wrong, torch.randint(CLASSES, labels.shape, generator=stream), labels)


def taught(steps: int = consensus.WARM_UP, seed: int = 0) -> LinearConsensus:
    torch.manual_seed(seed)
    learner = fresh()
    for step in range(steps):
        images, samples = features(2 * step), features(2 * step + 1)
        own, read = one_hot(truth(images)), one_hot(noisy(truth(samples), step))
        learner.learn((images, own), (samples, read))
    return learner


def test_it_is_right_more_often_than_the_readings_it_learned_from():
    learner = taught()
    assert learner.ready and not fresh().ready
    maps = features(999, batch=32)
    wanted, read = truth(maps), noisy(truth(maps), 999)
    found = learner.read(maps, (SIZE, SIZE))
    assert found.shape == wanted.shape and found.dtype == torch.long
    right, before = (float((each == wanted).float().mean()) for each in (found, read))
    assert before < 0.8 and right > before + 0.07


def test_balance_is_what_keeps_the_rare_class(monkeypatch):
    maps = features(999, batch=32)
    rare = truth(maps) == 3
    assert 0 < float(rare.float().mean()) < 0.1

    def found() -> float:
        return float((taught().read(maps, (SIZE, SIZE))[rare] == 3).float().mean())

    balanced = found()
    monkeypatch.setattr(consensus, "BALANCE", 0.0)
    assert found() < 0.5 * balanced


def test_mapping_before_resizing_equals_resizing_before_mapping():
    learner, maps = taught(10), features(5)
    dense = [F.interpolate(F.instance_norm(maps[r]), SIZE, mode="bilinear") for r in (8, 16)]
    flat = torch.cat([*dense, torch.ones_like(dense[0][:, :1])], 1)
    logits = torch.einsum("bchw,ck->bkhw", flat, learner.map)
    assert torch.equal(learner.read(maps, (SIZE, SIZE)), logits.argmax(1))
    values, labels = learner._pixels(maps, one_hot(truth(maps)))
    rows = {tuple(row) for row in flat.permute(0, 2, 3, 1).flatten(0, 2).mul(1e3).round().tolist()}
    assert all(tuple(row) in rows for row in values[:20].mul(1e3).round().tolist())
    assert values.shape == (8 * (consensus.PIXELS // 8), 10) and labels.shape[1] == CLASSES


def test_its_state_is_the_whole_of_it():
    first, again = taught(15), fresh()
    again.load_state_dict(first.state_dict())
    for learner in (first, again):
        torch.manual_seed(3)
        maps = features(50)
        learner.learn((maps, one_hot(truth(maps))), (maps, one_hot(truth(maps))))
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    assert not list(first.parameters())

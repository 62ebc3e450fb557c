"""The classifier of RC and FC (DeepI2I): a small residual network, trained on the pictures themselves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anchor_hub.errors import DataError

#: Side in pixels that pictures are resized to before the network sees them.
SIDE = 64
WIDTHS = (24, 48, 96)
STEPS, BATCH, LEARNING_RATE, WEIGHT_DECAY, SMOOTHING = 600, 32, 3e-3, 0.05, 0.1
#: Largest random shift of a training picture, in pixels at SIDE; pictures are also mirrored at random.
SHIFT = 6
RESIZE = f"bilinear, antialiased, to {SIDE}x{SIDE}"
SETTINGS: dict[str, Any] = {
    "classifier": "residual network trained on the pictures",
    "architecture": "convolution 5x5, stride 2; 3 residual blocks of two 3x3 convolutions, group norm; mean; linear",
    "widths": list(WIDTHS), "steps": STEPS, "training_batch": BATCH, "optimizer": "AdamW, one cycle",
    "learning_rate": LEARNING_RATE, "weight_decay": WEIGHT_DECAY, "label_smoothing": SMOOTHING,
    "augmentation": f"mirrored, moved by up to {SHIFT} pixels",
}  # fmt: skip
#: A function from numbers of samples ``[B]`` to their pictures, uint8 ``[B, 3, SIDE, SIDE]``.
Take = Callable[[Tensor], Tensor]


def reduced(pictures: Tensor) -> Tensor:
    """Pictures as the classifier sees them: uint8 ``[B, 3, SIDE, SIDE]`` of uint8 ``[B, 3, H, W]``."""
    if pictures.shape[-2:] == (SIDE, SIDE):
        return pictures
    values = F.interpolate(pictures.float(), size=(SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
    return values.round().clamp(0, 255).to(torch.uint8)


class _Block(nn.Module):
    """A residual block that halves the side: two 3x3 convolutions, and a pooled 1x1 one on the skip path."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(n, outputs, 3, padding=1, bias=False) for n in (inputs, outputs))
        self.norms = nn.ModuleList([nn.GroupNorm(8, outputs), nn.GroupNorm(8, outputs)])
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norms[1](self.second(F.relu(self.norms[0](self.first(x)))))
        return F.relu(F.avg_pool2d(inner + self.skip(x), 2))


class PictureNetwork(nn.Module):
    """Logits ``[B, classes]`` of uint8 pictures ``[B, 3, SIDE, SIDE]``.

    Group norm instead of batch norm: the logits of a picture depend on no other picture.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTHS[0], 5, stride=2, padding=2)
        self.blocks = nn.Sequential(*(_Block(*pair) for pair in zip((WIDTHS[0], *WIDTHS), WIDTHS, strict=False)))
        self.head = nn.Linear(WIDTHS[-1], classes)

    def forward(self, pictures: Tensor) -> Tensor:
        features = self.blocks(F.relu(self.stem(pictures.float() / 127.5 - 1)))
        return self.head(features.mean((2, 3)))


class PictureClassifier:
    """:class:`PictureNetwork`, trained for a fixed number of steps from a seed.

    The same pictures, seed and number of threads give the same network on a CPU. Pictures are read when a step needs
    them, so memory is constant.

    :param steps: number of training steps; None: ``STEPS``.
    """

    def __init__(
        self, classes: int, seed: int = 0, device: torch.device | str = "cpu", steps: int | None = None
    ) -> None:
        if classes < 2:
            raise DataError(f"a classifier needs at least two classes, there are {classes}")
        self.seed, self.device, self.steps = seed, torch.device(device), steps or STEPS
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = PictureNetwork(classes).to(self.device)

    def fit(
        self, take: Take, classes: Tensor, progress: Callable[[int], None] = lambda done: None
    ) -> PictureClassifier:
        """Train on the pictures that ``take`` gives, whose classes are ``classes [N]``; returns the classifier itself.

        :param progress: called with 1 after every step.
        :raises DataError: there are no pictures.
        """
        if not len(classes):
            raise DataError("there are no pictures to train the classifier on")
        generator = torch.Generator().manual_seed(self.seed)
        optimizer = torch.optim.AdamW(self.network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _one_cycle(step / self.steps))
        self.network.train()
        with torch.enable_grad():
            for chosen in _batches(len(classes), self.steps, generator):
                pictures = _moved(take(chosen), generator).to(self.device)
                wanted = classes[chosen].to(self.device)
                loss = F.cross_entropy(self.network(pictures), wanted, label_smoothing=SMOOTHING)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
                progress(1)
        self.network.eval()
        return self

    @torch.no_grad()
    def right(self, take: Take, classes: Tensor) -> Tensor:
        """Whether each picture gets its true class, bool ``[N]``."""
        found = []
        for numbers in torch.arange(len(classes)).split(256):
            answers = self.network(take(numbers).to(self.device)).argmax(1).cpu()
            found.append(answers == classes[numbers])
        return torch.cat(found) if found else torch.zeros(0, dtype=torch.bool)


def _one_cycle(share: float) -> float:
    """Factor of the learning rate after a share of the steps: up over the first fifth, then down along a cosine."""
    return share / 0.2 if share < 0.2 else 0.5 * (1 + math.cos(math.pi * (share - 0.2) / 0.8))


def _batches(count: int, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Numbers of the samples of each of ``steps`` batches; every sample comes once before any comes again."""
    waiting = torch.zeros(0, dtype=torch.long)
    for _ in range(steps):
        while len(waiting) < BATCH:
            waiting = torch.cat([waiting, torch.randperm(count, generator=generator)])
        yield waiting[:BATCH]
        waiting = waiting[BATCH:]


def _moved(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Training pictures, each mirrored at random and shifted; its border fills the gap."""
    mirrored = torch.rand(len(pictures), generator=generator) < 0.5
    pictures = torch.where(mirrored[:, None, None, None], pictures.flip(3), pictures)
    wide = F.pad(pictures.float(), (SHIFT,) * 4, mode="replicate")
    corners = torch.randint(2 * SHIFT + 1, (len(pictures), 2), generator=generator).tolist()
    moved = [one[:, y : y + SIDE, x : x + SIDE] for one, (y, x) in zip(wide, corners, strict=True)]
    return torch.stack(moved).to(torch.uint8)

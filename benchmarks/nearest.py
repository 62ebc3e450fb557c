"""Answers the benchmark with the nearest neighbour in the training set, as the judges see it.

    python benchmarks/nearest.py --data faces-64 --samples "$(anchor benchmark samples)" -o outputs/nearest
    anchor benchmark run --domains face,seg,landmark --also nearest=outputs/nearest

    python benchmarks/nearest.py --data twins --pair face:toon --pair face:cat \\
        --samples "$(anchor benchmark samples --domains toon,cat)" -o outputs/nearest
    anchor benchmark run --only-also --also nearest=outputs/nearest --pair face:toon --pair face:cat

Every answer is a copy of a training file; the script knows no pairs. It compares a label map with the map that the
parser reads in each training face, and landmarks with the points that the landmark judge finds there; for a face, the
same the other way round. Two kinds of pictures (faces, toons, cats, cars) are compared by the factors that their judges
read and both must show. Label maps cannot be compared with landmarks, nor sketches with anything.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from anchor_faces.benchmark.factor_groups import STYLE, kept_groups
from anchor_faces.benchmark.judge_kinds import JudgeKind, judge_kind_of
from anchor_faces.benchmark.judges import Reading, load_judges
from anchor_faces.benchmark.samples import render_modality
from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.modality import build_modality
from anchor_hub.plugins.registry import registry

SIZE, CLASSES = 64, 19
DEFAULT = ("seg:face", "face:seg", "landmark:face", "face:landmark")
PICTURES = ("face", "toon", "cat", "car")


class Seen:
    """The files of a rendered set as the judges see them; each domain is read once.

    :param truth: whether ``folder`` holds the benchmark's samples, where a domain's pictures are the true answers.
    """

    def __init__(self, folder: Path, count: int | None, truth: bool) -> None:
        self.folder, self._count, self._truth = folder, count, truth
        self._files: dict[str, ImageFolder] = {}
        self._samples: dict[str, Tensor] = {}
        self._readings: dict[str, Reading] = {}

    def files(self, domain: str) -> ImageFolder:
        if domain not in self._files:
            modality = build_modality(dict(registry().domains[domain].spec.modality))
            held = self.folder / (render_modality(domain) if self._truth else domain)
            self._files[domain] = ImageFolder(held, modality, SIZE, limit=self._count)
        return self._files[domain]

    def samples(self, domain: str) -> Tensor:
        if domain not in self._samples:
            loaded = self.files(domain).load_all(1)
            assert isinstance(loaded, Tensor)
            self._samples[domain] = loaded
        return self._samples[domain]

    def reading(self, domain: str) -> Reading:
        if domain not in self._readings:
            self._readings[domain] = load_judges(kind=kind_of(domain)).read(self.samples(domain))
        return self._readings[domain]

    def described(self, domain: str, other: str) -> Tensor:
        """``[N, D]``: what is compared with samples of the domain ``other``."""
        if {domain, other} == {"seg", "face"}:
            return pooled(self.samples("seg") if domain == "seg" else self.reading("face").labels)
        if {domain, other} == {"landmark", "face"}:
            points = self.samples("landmark").float() if domain == "landmark" else self.reading("face").points
            return points.flatten(1)
        known = {factor.name: place for place, factor in enumerate(kind_of(domain).factors)}
        return self.reading(domain).factors[:, [known[name] for name in shared_factors(domain, other)]]


def kind_of(domain: str) -> JudgeKind:
    kind = judge_kind_of(render_modality(domain))
    assert kind is not None
    return kind


def shared_factors(domain: str, other: str) -> list[str]:
    """Names of the factors, values and flags, that pictures of both domains show and their judges read."""
    groups = kept_groups(render_modality(domain), render_modality(other))
    read = {factor.name for factor in kind_of(other).factors}
    return [
        factor.name for factor in kind_of(domain).factors
        if factor.group in groups and factor.name in read and factor.kind != STYLE
    ]  # fmt: skip


def pooled(labels: Tensor) -> Tensor:
    """Shares of the classes at 16 x 16 positions, float16 ``[N, 19 * 256]``, of ids ``[N, 1, 64, 64]``."""
    parts = []
    for part in labels.split(100):
        hot = F.one_hot(part[:, 0].long(), CLASSES).permute(0, 3, 1, 2).float()
        parts.append(F.avg_pool2d(hot, 4).flatten(1).half())
    return torch.cat(parts)


def pair_of(text: str) -> tuple[str, str]:
    """A pair of the command line. Those that no description compares are refused."""
    source, _, target = text.partition(":")
    if source == target or not ({source, target} <= set(PICTURES) or text in DEFAULT):
        raise argparse.ArgumentTypeError(f"{text}: choose two of {', '.join(PICTURES)}, or one of {', '.join(DEFAULT)}")
    return source, target


def nearest(queries: Tensor, known: Tensor) -> Tensor:
    """Index ``[N]`` of the row of ``known [M, D]`` that is nearest to each of ``queries [N, D]`` (Euclidean)."""
    best = []
    squares = torch.stack([row.float().square().sum() for row in known])
    for part in queries.split(100):
        scores = torch.cat([part.float() @ block.float().T for block in known.split(2000)], 1)
        best.append((squares - 2 * scores).argmin(1))
    return torch.cat(best)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="rendered training set with the pairs' domains")
    parser.add_argument("--samples", type=Path, required=True, help="the folder that anchor benchmark samples prints")
    parser.add_argument("--known", type=int, default=22_000, help="number of samples of the training set to take")
    parser.add_argument("--count", type=int, help="number of benchmark samples to answer, the first ones [all]")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument(
        "--pair", type=pair_of, action="append", help=f"SOURCE:TARGET, repeatable [{' '.join(DEFAULT)}]"
    )
    arguments = parser.parse_args()
    known = Seen(arguments.data, arguments.known, truth=False)
    asked = Seen(arguments.samples, arguments.count, truth=True)
    written = {}
    for source, target in arguments.pair or [pair_of(text) for text in DEFAULT]:
        folder = arguments.output / f"{source}-to-{target}"
        folder.mkdir(parents=True, exist_ok=True)
        queries, answers = asked.described(source, target), known.described(target, source)
        if {source, target} <= set(PICTURES):  # factors have units of their own
            spread = answers.std(0).clamp(min=1e-6)  # of few samples a factor may not vary at all
            queries, answers = queries / spread, answers / spread
        held = known.files(target).paths
        for path, place in zip(asked.files(source).paths, nearest(queries, answers).tolist(), strict=True):
            shutil.copyfile(held[place], folder / f"{path.stem}{held[place].suffix}")
        written[folder.name] = len(queries)
    print(json.dumps({"known": len(held), **written}))


if __name__ == "__main__":
    main()

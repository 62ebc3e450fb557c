"""The kinds of judges: which pictures each kind reads, what it finds in them, and where its bundle lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from anchor_faces.benchmark.factor_groups import ALL_JUDGED, CARRIED, JudgedFactor
from anchor_faces.rendering import CAR_CLASS_NAMES, CLASS_NAMES
from anchor_hub.errors import UsageError, did_you_mean

_BUNDLES = Path(__file__).parents[1] / "bundles"


@dataclass(frozen=True)
class JudgeKind:
    """One kind of judges.

    :param name: of the kind, as ``anchor benchmark train-judges --kind`` takes it.
    :param judges: name of its judges; also of the extractor that they are.
    :param short: what their Fréchet distance is called after: ``fd_<short>``.
    :param pictures: the renderer's modalities whose pictures these judges read.
    :param what: the pictures in words.
    :param folder: of the bundle that comes with the package.
    :param count: number of samples to train on, held-out ones included; each gives a picture of every modality.
    :param held_out: number of samples, the last ones, that measure the judges' own error.
    :param also: further modalities whose pictures these judges read, without having been trained on them.
    :param classes: of the label maps.
    :param points: number of landmarks that the pictures have.
    """

    name: str
    judges: str
    short: str
    pictures: tuple[str, ...]
    what: str
    folder: Path
    count: int
    held_out: int
    also: tuple[str, ...] = ()
    classes: tuple[str, ...] = CLASS_NAMES
    points: int = 68

    @property
    def recorded(self) -> str:
        """The setting of a run under which these judges stand."""
        return "judges" if self.name == "faces" else f"{self.name.removesuffix('s')}_judges"

    @property
    def factors(self) -> tuple[JudgedFactor, ...]:
        """The factors that these judges read: those that at least one of their pictures shows."""
        shown = {group for picture in self.pictures for group in CARRIED[picture]}
        return tuple(factor for factor in ALL_JUDGED if factor.group in shown)


FACES = JudgeKind(
    "faces", "rendered-faces-r1", "rendered", ("face",), "faces", _BUNDLES / "judges", count=24_000, held_out=1000
)
CREATURES = JudgeKind(
    "creatures", "rendered-creatures-r1", "creatures", ("toon", "cat"), "toons and cats", _BUNDLES / "creature-judges",
    count=9000, held_out=500,
)  # fmt: skip
CARS = JudgeKind(
    "cars", "rendered-cars-r1", "cars", ("car",), "toy cars", _BUNDLES / "car-judges", count=3000, held_out=500,
    also=("car_front",), classes=CAR_CLASS_NAMES, points=0,
)  # fmt: skip
JUDGE_KINDS = {kind.name: kind for kind in (FACES, CREATURES, CARS)}


def judge_kind(name: str) -> JudgeKind:
    """The kind of judges of that name. :raises UsageError: there is none."""
    if name not in JUDGE_KINDS:
        raise UsageError(f"there are no judges of {name!r}.{did_you_mean(name, JUDGE_KINDS)}")
    return JUDGE_KINDS[name]


def judge_kind_of(picture: str) -> JudgeKind | None:
    """The kind of judges that reads pictures of a modality of the renderer; None where no judges do."""
    return next((kind for kind in JUDGE_KINDS.values() if picture in kind.pictures + kind.also), None)

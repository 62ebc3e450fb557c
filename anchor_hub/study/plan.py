"""A study: its runs, sets and questions, and the order in which each participant sees them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from anchor_hub.errors import ConfigError, DataError, UsageError, did_you_mean
from anchor_hub.system.config import dump_yaml, load_yaml
from anchor_hub.system.inputs import shown

FORMAT_VERSION = 1
MANIFEST, PICTURES, VOTES = "study.yaml", "pictures", "votes.sqlite"
MOST_LETTERS = 200  # of a title

#: The questions that `--questions` knows; the first two are those of latent-space anchoring, section 4.5.
QUESTIONS = {
    "quality": "Which picture has the best visual quality?",
    "structure": "Which picture matches the structure of the input best?",
    "realism": "Which picture looks most real?",
    "content": "Which picture keeps the content of the input best?",
    "preference": "Which picture do you like best?",
}
#: Questions that need the input beside the results.
NEED_INPUT = ("structure", "content")

Item = TypeVar("Item")


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Question(_Record):
    """A question: its name in the results, and its words on the page (which may be edited at any time)."""

    name: str = Field(pattern=r"^[a-z0-9]+(?:[_-][a-z0-9]+)*$", max_length=60)
    text: str = Field(min_length=1, max_length=300)


class Study(_Record):
    """The manifest ``study.yaml`` of a study's folder.

    :param runs: names of the runs that are compared; this order numbers the results in the folder ``pictures``.
    :param sets: names of the inputs; set *i* lies in ``pictures/<i>``.
    :param inputs: whether the input is shown beside the results.
    :param sets_per_participant: how many sets one participant sees.
    """

    format_version: int = Field(default=FORMAT_VERSION, ge=1, le=FORMAT_VERSION)
    title: str = Field(default="Which picture is best?", max_length=MOST_LETTERS)
    seed: int = 0
    runs: list[str] = Field(min_length=2, max_length=9)
    questions: list[Question] = Field(min_length=1, max_length=20)
    sets: list[str] = Field(min_length=1)
    inputs: bool = False
    sets_per_participant: int = Field(default=15, ge=1)
    settings: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _distinct(self) -> Study:
        for what, names in (("runs", self.runs), ("questions", [item.name for item in self.questions])):
            if len(set(names)) != len(names):
                raise ValueError(f"two of the {what} have one name")
        return self

    @property
    def fingerprint(self) -> str:
        """Digest of everything that votes refer to; the words of the title and of questions may change."""
        parts = [self.seed, self.runs, [item.name for item in self.questions], self.sets, self.sets_per_participant]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def tasks(self, participant: str) -> list[Task]:
        """The tasks of a participant, in order: a random choice of sets, with every question about each set."""
        places = shuffled(range(len(self.sets)), self.seed, participant)[: self.sets_per_participant]
        return [
            Task(place, self.sets[place], question, self.order(participant, place, question))
            for place in places
            for question in self.questions
        ]

    def order(self, participant: str, place: int, question: Question) -> tuple[int, ...]:
        """The numbers of the runs in the order in which this participant sees them, a new order for each question."""
        return tuple(shuffled(range(len(self.runs)), self.seed, participant, place, question.name))


@dataclass(frozen=True)
class Task:
    """One question about one set. ``order``: the number of the run at each position on the page."""

    place: int
    set_name: str
    question: Question
    order: tuple[int, ...]


def shuffled(items: Sequence[Item], *key: object) -> list[Item]:
    """``items`` in an order that ``key`` fixes, the same on every machine and in every version."""

    def rank(number: int) -> bytes:
        return hashlib.sha256(json.dumps([*key, number]).encode()).digest()

    return [items[number] for number in sorted(range(len(items)), key=rank)]


def picture(folder: Path, place: int, run: int | None) -> Path:
    """The file of set ``place``: the result of a run, or with None the input."""
    return folder / PICTURES / f"{place:05d}" / ("input.png" if run is None else f"{run}.png")


def incomplete(folder: str | Path, study: Study) -> dict[int, Path]:
    """The numbers of the sets that cannot be shown, each with the first of its missing pictures.

    :raises DataError: no set can be shown.
    """
    everyone = [*([None] if study.inputs else []), *range(len(study.runs))]
    found: dict[int, Path] = {}
    for place in range(len(study.sets)):
        paths = (picture(Path(folder), place, run) for run in everyone)
        missing = next((path for path in paths if not path.is_file()), None)
        if missing is not None:
            found[place] = missing
    if len(found) == len(study.sets):
        raise DataError(
            f"{shown(found[0])}: is missing, and no set of this study has all its pictures; copy the folder "
            f"{PICTURES} back, or make the study anew"
        )
    return found


def write_study(study: Study, folder: Path) -> None:
    """Write the manifest into ``folder``."""
    (folder / MANIFEST).write_text(dump_yaml(study.model_dump(mode="json")), encoding="utf-8")


def open_study(folder: str | Path) -> Study:
    """The study in a folder.

    :raises DataError: the folder holds no study, or the manifest is wrong; the message says where.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise DataError(f"{shown(folder)}: holds no study ({MANIFEST}); `anchor study new` makes one")
    try:
        return load_yaml(path, Study)
    except ConfigError as error:
        raise DataError(str(error)) from None


def parse_questions(names: str, own: Sequence[str] = ()) -> list[Question]:
    """The questions of ``--questions quality,structure`` and of each ``--question name=Words``.

    :raises UsageError: no question, an unknown name, a name twice, or words without a name.
    """
    questions = []
    for name in dict.fromkeys(item.strip() for item in names.split(",") if item.strip()):
        if name not in QUESTIONS:
            hint = f"{did_you_mean(name, QUESTIONS)} Your own: --question '{name}=Which ...?'"
            raise UsageError(f"--questions: there is no question {name!r}.{hint}")
        questions.append(Question(name=name, text=QUESTIONS[name]))
    for given in own:
        name, _, words = (part.strip() for part in given.partition("="))
        try:
            questions.append(Question(name=name, text=words))
        except ValueError:
            raise UsageError(
                f"--question {given!r}: write NAME=WORDS, the name in small letters, e.g. 'fur=Which has better fur?'"
            ) from None
    if not questions:
        raise UsageError("a study needs a question; give --questions quality,structure or --question NAME=WORDS")
    if len({item.name for item in questions}) != len(questions):
        raise UsageError("two questions have one name; rename one: --question NAME=WORDS")
    return questions

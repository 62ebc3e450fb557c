"""Makes a study: matches the results of several runs by name, and copies them without a trace of their run."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from anchor_hub.errors import AnchorError, DataError, UsageError
from anchor_hub.evaluation.report.contents import inside
from anchor_hub.evaluation.result import FILE, read_run, read_samples
from anchor_hub.images.reading import IMAGE_EXTENSIONS
from anchor_hub.modality import Modality
from anchor_hub.study.plan import MANIFEST, MOST_LETTERS, NEED_INPUT, Question, Study, picture, shuffled, write_study
from anchor_hub.system.files import new_folder
from anchor_hub.system.inputs import list_inputs, shown
from anchor_hub.system.outputs import check_folder

# Suffix that `anchor translate --styles` appends to the name of the input.
_STYLE = re.compile(r"-style\d+$")
#: Longest side of a picture on the page.
LARGEST = 1024
SHOWN_NAMES = 5


@dataclass(frozen=True)
class Made:
    """The result of :func:`new_study`: the study, its folder, and remarks for people."""

    study: Study
    folder: Path
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunFiles:
    """The results of a run by name; also their inputs and the domains of both, where the run records them."""

    outputs: Mapping[str, Path]
    inputs: Mapping[str, Path]
    source: str | None = None
    target: str | None = None


def parse_runs(given: Sequence[str]) -> dict[str, Path]:
    """The runs that ``--runs`` gives, as name -> folder: ``a/,b/`` (named after the folders) or ``ours=a/,other=b/``.

    :raises UsageError: fewer than two runs or more than nine, a name twice, or a folder twice.
    """
    runs: dict[str, Path] = {}
    for item in (part.strip() for text in given for part in text.split(",")):
        if not item:
            continue
        name, equals, folder = item.partition("=")
        if not equals or "/" in name or Path(item).is_dir():
            name, folder = "", item
        path = Path(folder)
        name = name.strip() or path.resolve().name
        if name in runs:
            raise UsageError(f"--runs: two runs are called {name!r}; name them: --runs ours={folder},other=...")
        runs[name] = path
    if len(runs) < 2:
        raise UsageError("--runs: a study compares at least two runs, e.g. --runs a/,b/")
    if len(runs) > 9:
        raise UsageError(f"--runs: {len(runs)} runs are too many to choose from; give 9 at most")
    if len({path.resolve() for path in runs.values()}) != len(runs):
        raise UsageError("--runs: two runs are the same folder; give each folder once")
    return runs


def new_study(
    runs: Mapping[str, str | Path],
    output: str | Path,
    *,
    questions: Sequence[Question],
    inputs: str | Path | None = None,
    source: str | None = None,
    target: str | None = None,
    pool: int = 300,
    sets: int = 15,
    seed: int = 0,
    title: str | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Made:
    """Write a study's folder: the runs' pictures of the same inputs, matched by name, and ``study.yaml``.

    :param runs: name -> folder: a report of `anchor evaluate --report` (``metrics.json``), or pictures called after
        their inputs.
    :param questions: as :func:`parse_questions` gives them.
    :param inputs: folder of the inputs; not needed for report folders, which name their inputs.
    :param source, target: domain of the inputs and of the results. Where given, the domain's modality draws the files,
        and only results of that domain are taken from report folders.
    :param pool: number of sets in the study, drawn at random from those that all runs have.
    :param sets: number of sets that one participant sees.
    :raises UsageError: a question needs inputs and none are given, or the folder exists.
    :raises DataError: a run holds no pictures, or no set is in every run.
    """
    from anchor_hub.evaluation.report.embedding import modality_of

    for option, domain in (("--from", source), ("--to", target)):
        if domain is not None and modality_of(domain) is None:
            raise UsageError(f"{option} {domain}: there is no such domain on this machine; see `anchor domains list`")
    if title is not None and not 1 <= len(title.strip()) <= MOST_LETTERS:
        raise UsageError(f"--title: has {len(title.strip())} letters; give 1 to {MOST_LETTERS}")
    output = Path(output)
    check_folder(output, MANIFEST, "study", overwrite=overwrite)
    for part in (*runs.values(), *([] if inputs is None else [inputs])):
        if Path(part).resolve().is_relative_to(output.resolve()):
            raise UsageError(f"-o {shown(output)}: holds {shown(part)}, a folder of --runs or --inputs; choose another")
        if output.resolve().is_relative_to(Path(part).resolve()):
            raise UsageError(
                f"-o {shown(output)}: lies in {shown(part)}; a later study would take this study's pictures for "
                "results; choose a folder outside"
            )
    drawn_source = modality_of(source) if source else None
    drawn_target = modality_of(target) if target else None
    found = {name: run_files(Path(folder), source, target, _extensions(drawn_target)) for name, folder in runs.items()}
    given = _inputs(inputs, found, _extensions(drawn_source))
    if source is not None and not given:
        raise UsageError(f"--from {source}: says how to draw inputs, but there are none; give --inputs FOLDER, too")
    names, notes = _common(found, given)
    needing = [item.name for item in questions if item.name in NEED_INPUT]
    if needing and not given:
        raise UsageError(f"the question {needing[0]!r} compares with the input; give --inputs FOLDER")
    order = shuffled(names, seed, "pool")
    targets = {name: target or run.target for name, run in found.items()}
    drawn = {name: modality_of(domain) if domain else None for name, domain in targets.items()}
    kept: list[str] = []
    with new_folder(output, overwrite=overwrite) as folder:
        for name in order:
            if len(kept) == min(pool, len(names)):
                break
            files: list[tuple[int | None, Path, Modality | None]] = []
            if given:
                files.append((None, given[_key(name, given)], drawn_source))
            files += [(number, run.outputs[name], drawn[key]) for number, (key, run) in enumerate(found.items())]
            try:
                _copy(folder, len(kept), files)
            except (AnchorError, OSError) as error:
                notes.append(f"left out {shown(name)}: {error}")
                continue
            kept.append(name)
            progress(len(kept), min(pool, len(names)))
        if not kept:
            raise DataError("no set can be shown: " + "; ".join(notes[-SHOWN_NAMES:]))
        study = Study(
            title=title or Study.model_fields["title"].default,
            seed=seed,
            runs=list(found),
            questions=list(questions),
            sets=kept,
            inputs=bool(given),
            sets_per_participant=min(sets, len(kept)),
            settings={"folders": {name: str(folder) for name, folder in runs.items()}, "sets_in_common": len(names)},
        )
        write_study(study, folder)
    return Made(study, output, tuple(notes))


def run_files(folder: Path, source: str | None, target: str | None, extensions: Sequence[str]) -> RunFiles:
    """The results in a run's folder.

    :raises DataError: the folder holds no results.
    :raises UsageError: the folder holds several translations, and ``source`` and ``target`` do not choose one.
    """
    if not folder.is_dir():
        raise DataError(f"{shown(folder)}: is no folder; a run is the folder of its results")
    if not (folder / FILE).is_file():
        files = list_inputs([folder], extensions)
        return RunFiles({item.name.as_posix(): item.path for item in files}, {})
    wanted = [
        pair
        for pair in read_run(folder).pairs
        if pair.samples is not None and source in (None, pair.source) and target in (None, pair.target)
    ]
    if not wanted:
        raise DataError(f"{shown(folder)}: its {FILE} names no samples of this translation; evaluate again")
    if len(wanted) > 1:
        ways = ", ".join(pair.name for pair in wanted)
        raise UsageError(f"{shown(folder)}: holds several translations ({ways}); choose one by --from and --to")
    lines = inside(folder, str(wanted[0].samples))
    outputs, inputs = {}, {}
    for sample in read_samples(lines) if lines is not None else ():
        for number, name in enumerate(sample.outputs, 1):
            key = sample.name if len(sample.outputs) == 1 else f"{sample.name}-style{number}"
            path = inside(folder, name)
            if path is not None:  # a report from elsewhere may name any file
                outputs[key], inputs[key] = path, Path(sample.input)
    if not outputs:
        raise DataError(f"{shown(folder)}: its samples have no pictures; evaluate again")
    return RunFiles(outputs, inputs, wanted[0].source, wanted[0].target)


def _extensions(modality: Modality | None) -> tuple[str, ...]:
    return IMAGE_EXTENSIONS if modality is None else tuple(modality.extensions)


def _inputs(folder: str | Path | None, runs: Mapping[str, RunFiles], extensions: Sequence[str]) -> Mapping[str, Path]:
    if folder is not None:
        if not Path(folder).is_dir():
            raise UsageError(f"--inputs {shown(folder)}: is no folder")
        return {item.name.as_posix(): item.path for item in list_inputs([folder], extensions)}
    return next((run.inputs for run in runs.values() if run.inputs), {})


def _key(name: str, inputs: Mapping[str, Path]) -> str:
    return name if name in inputs else _STYLE.sub("", name)


def _common(runs: Mapping[str, RunFiles], inputs: Mapping[str, Path]) -> tuple[list[str], list[str]]:
    """The names that every run (and the inputs) have, and remarks on names that some runs lack."""
    every = [set(run.outputs) for run in runs.values()]
    common = set.intersection(*every)
    if inputs:
        common = {name for name in common if _key(name, inputs) in inputs}
    notes = []
    for (name, run), own in zip(runs.items(), every, strict=True):
        lost = sorted(own - common)
        if lost:
            some = ", ".join(shown(item) for item in lost[:SHOWN_NAMES]) + (", ..." if len(lost) > SHOWN_NAMES else "")
            notes.append(
                f"{len(lost)} of {len(run.outputs)} results of {name} are left out, not all others have them: {some}"
            )
    if not common:
        examples = "; ".join(f"{name}: {shown(min(run.outputs))}, ..." for name, run in runs.items())
        also = f"; inputs: {shown(min(inputs))}, ..." if inputs else ""
        raise DataError(f"no result is in all runs; results are matched by name ({examples}{also})")
    return sorted(common), notes


def _copy(folder: Path, place: int, files: Sequence[tuple[int | None, Path, Modality | None]]) -> None:
    """Write the pictures of a set anew: only their pixels, in one format, under names that do not tell the run."""
    from anchor_hub.evaluation.report.embedding import read_picture
    from anchor_hub.images.writing import encode_image

    encoded = []
    for run, path, modality in files:
        image = read_picture(path, modality)
        image.thumbnail((LARGEST, LARGEST))
        encoded.append((picture(folder, place, run), encode_image(image)))
    for path, data in encoded:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

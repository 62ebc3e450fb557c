"""Runs the benchmark: on one ordered pair of domains or on all pairs, and on outputs of other programs."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from anchor_faces.benchmark import samples as data
from anchor_faces.benchmark.factor_groups import kept_groups
from anchor_faces.benchmark.judges import load_judges
from anchor_faces.benchmark.samples import End
from anchor_faces.benchmark.scoring import FaceJudge, Scores, label_scores, landmark_scores, picture_scores
from anchor_hub.errors import DataError, UsageError
from anchor_hub.evaluation.result import (
    DataRecord,
    HubRecord,
    Metric,
    PairResult,
    RunResult,
    SampleResult,
    write_samples,
)
from anchor_hub.system.home import Home, home

if TYPE_CHECKING:
    from anchor_hub.domains.base import Domain
    from anchor_hub.translation.base import Translator

STYLES, STYLED = 5, 100  # number of random styles, and of inputs that get them
BATCH = 50

Progress = Callable[[int, int], None]


@dataclass
class Benchmark:
    """The benchmark on one machine: samples and judges, loaded once for any number of pairs.

    :param report: folder for the outputs as files and for the samples' scores; None: write nothing.
    :param seed: seed of the random styles.
    """

    samples: data.Samples
    face_judge: FaceJudge
    seed: int = 0
    batch: int = BATCH
    report: Path | None = None
    done: Callable[[int], None] = field(default=lambda count: None, repr=False)

    @classmethod
    def open(
        cls,
        domains: Sequence[str],
        *,
        count: int | None = None,
        seed: int = 0,
        batch: int = BATCH,
        device: torch.device | str = "cpu",
        report: Path | None = None,
        judges: str | Path | None = None,
        where: Home | None = None,
        progress: Progress | None = None,
    ) -> Benchmark:
        """The benchmark with its samples, rendered where they are missing, and its judges.

        :param judges: folder of the judges' bundle; None: the judges that come with the package.
        :raises UsageError: a domain that is not one of rendered faces, or a ``count`` out of range.
        """
        loaded = load_judges(judges, device)
        samples = data.benchmark_samples(where or home(), domains, count, progress)
        return cls(samples, FaceJudge(loaded, samples.truth), seed, max(1, batch), report)

    def translations(self, translators: Sequence[Translator[Any]]) -> dict[str, Tensor]:
        """Outputs ``[N, ...]`` by target, as samples of the target's modality, of translators with one source.

        Domains of one hub are decoded together: every input is encoded once, and the hub computes once for all targets.
        """
        found: dict[str, list[Tensor]] = {translator.target: [] for translator in translators}
        for part in self.samples.of(End.source(translators[0])).split(self.batch):
            with torch.no_grad():
                for name, outputs in _translated(translators, part):
                    found[name].append(outputs)
                    self._count(len(part))
        return {name: torch.cat(parts) for name, parts in found.items()}

    def pair(self, translator: Translator[Any], outputs: Tensor | None = None) -> PairResult:
        """All scores of a translator, in its own look (for the backend ``anchor``: the mean appearance).

        :param outputs: outputs from :meth:`translations`; None: translate here.
        """
        source, target = End.source(translator), End.target(translator)
        outputs = self.translations([translator])[target.name] if outputs is None else outputs
        scores = self.scored(source.name, target, outputs)
        settings: dict[str, Any] = {"appearance": "mean latent"} if translator.identity.hub else {}
        settings |= {key: value for key, value in translator.settings().items() if value}
        styles = self._styles(translator) if self._is_face(target) else []
        if styles:
            few = self.samples.of(source)[:STYLED]
            kept = kept_groups(data.render_modality(source.name), "face")
            styled = [self._styled(translator, few, style) for style in styles]
            scores.metrics.extend(self.face_judge.diversity(styled, kept, self.seed))
            settings |= {"styles": STYLES, "seed": self.seed, "truncation": 1.0}
        return self._result(source.name, target, translator.identity.backend, outputs, scores, settings)

    def outputs_of(self, backend: str, source: str, target: End, folder: Path) -> PairResult:
        """Scores of outputs that another program wrote, in files named like the samples.

        :raises DataError: an output is missing.
        """
        read = []
        for name in self.samples.truth.names:
            found = [path for suffix in target.modality.extensions if (path := folder / f"{name}{suffix}").is_file()]
            if not found:
                raise DataError(
                    f"{folder}: has no output for sample {name}; {backend} must answer all {self.samples.count} samples"
                )
            read.append(target.modality.read(found[0], target.size))
            self._count(1)
        outputs = target.modality.collate(read)
        return self._result(source, target, backend, outputs, self.scored(source, target, outputs), {})

    def scored(self, source: str, target: End, outputs: Tensor) -> Scores:
        """Scores of output samples ``[N, ...]`` of the target's modality."""
        kind = data.render_modality(target.name)
        truth = self.samples.of(target)
        if self._is_face(target):
            return self.face_judge.score(outputs, kept_groups(data.render_modality(source), kind))
        if target.modality.traits.classes:
            scores = label_scores(outputs, truth, list(target.modality.traits.classes))
        elif target.modality.traits.points:
            scores = landmark_scores(outputs, truth)
        else:
            scores = picture_scores(outputs, truth)
        kept = kept_groups(data.render_modality(source), kind)
        factors = self.face_judge.read_factors(kind, outputs, truth, target.size, kept)
        return Scores(scores.metrics + ([factors] if factors else []), scores.by_sample)

    @staticmethod
    def _is_face(target: End) -> bool:
        return data.render_modality(target.name) == "face" and target.modality.traits.picture

    def _styled(self, translator: Translator[Any], inputs: Tensor, style: Tensor) -> Tensor:
        parts = []
        for part in inputs.split(self.batch):
            images = translator.source_modality.to_network(part)
            output = translator.translate(images, style=style)
            parts.append(translator.target_modality.from_network(output).cpu())
        return torch.cat(parts)

    def _styles(self, translator: Translator[Any]) -> list[Tensor]:
        """Random styles; an empty list where the translator has none, or the source leaves no freedom for styles."""
        try:
            return list(translator.random_styles(STYLES, seed=self.seed).split(1))
        except UsageError:
            return []

    def _count(self, count: int) -> None:
        self.done(count)

    def _result(
        self, source: str, target: End, backend: str, outputs: Tensor, scores: Scores, settings: Mapping[str, Any]
    ) -> PairResult:
        file = None
        if self.report is not None:
            way = f"{source}-to-{target.name}" + ("" if backend == "anchor" else f"-{backend}")
            suffix = target.modality.output_suffix
            rows = []
            for index, name in enumerate(self.samples.truth.names):
                output = f"outputs/{way}/{name}{suffix}"
                (self.report / output).parent.mkdir(parents=True, exist_ok=True)
                target.modality.write(outputs[index], self.report / output)
                rows.append(
                    SampleResult(
                        index=index, name=name, input=str(self.samples.file(source, name)), outputs=[output],
                        truth=str(self.samples.file(target.name, name)),
                        scores={key: values[index] for key, values in scores.by_sample.items()},
                    )  # fmt: skip
                )
            file = f"samples/{way}.jsonl"
            write_samples(self.report / file, rows)
        return PairResult(
            source=source, target=target.name, backend=backend, metrics=scores.metrics, samples=file,
            settings=dict(settings),
        )  # fmt: skip

    def others_of(self, earlier: RunResult) -> list[PairResult]:
        """The results of other backends in an earlier run: their outputs depend on no domain, so the scores still hold.

        Seed, version and renderer fix the samples. Another processor may have rounded their last digits differently;
        the settings of the pairs then say so.

        :raises DataError: the earlier run used other samples or other judges.
        """
        ours = {**self.samples.settings(), "judges": self.face_judge.judges.describe()}
        differing = [name for name in ours if earlier.settings.get(name) != ours[name]]
        if differing or earlier.data is None:
            raise DataError(
                f"the earlier run was measured with another {' and another '.join(differing) or 'data set'}, so its "
                "scores cannot stand beside new ones; give the outputs themselves: --also NAME=FOLDER"
            )
        theirs = earlier.data.sha256
        note = {} if theirs == self.samples.sha256() else {"samples_sha256": theirs}
        pairs = [pair for pair in earlier.pairs if pair.backend != "anchor"]
        return [pair.model_copy(update={"settings": {**pair.settings, **note}}) for pair in pairs]

    def result(self, pairs: Sequence[PairResult], hub: tuple[str, str] | None, title: str = "") -> RunResult:
        """The pairs as a run, with everything that its numbers depend on; ``hub``: name and fingerprint."""
        judges = self.face_judge.judges
        samples = self.samples
        floor = {"samples": samples.count, **_rounded(self.face_judge.floor)}
        from anchor_hub import __version__

        return RunResult(
            kind="benchmark",
            title=title or f"{data.NAME} {data.VERSION}, {samples.count:,} samples",
            hub=None if hub is None else HubRecord(name=hub[0], fingerprint=hub[1]),
            data=DataRecord(
                path=f"{data.NAME} (seed {data.SEED})", count=samples.count, sha256=samples.sha256(),
                benchmark=data.NAME, version=data.VERSION,
            ),
            pairs=list(pairs),
            settings={**samples.settings(), "judges": judges.describe(), "judges_floor": floor},
            versions={"anchor-hub": __version__, "torch": torch.__version__},
            machine=f"{platform.machine()}, {judges.device.type}, {torch.get_num_threads()} threads",
        )  # fmt: skip


def run(
    domains: Sequence[str],
    *,
    pairs: Sequence[tuple[str, str]] | None = None,
    count: int | None = None,
    seed: int = 0,
    batch: int = BATCH,
    device: str = "auto",
    report: Path | None = None,
    judges: str | Path | None = None,
    others: Mapping[str, Path] | None = None,
    earlier: RunResult | None = None,
    backend: str | None = None,
    translator: str | None = None,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    said: Callable[[str], None] | None = None,
) -> RunResult:
    """The result of the benchmark over ``pairs`` of domains by name; default: all ordered pairs of ``domains``.

    :param others: backend -> folder of its outputs, with a folder ``<source>-to-<target>`` for each pair it answers.
    :param earlier: a run whose scores of other backends are taken over, for backends that ``others`` does not name.
    :param backend, translator, options: how to translate, see ``anchor_hub.translation.request.TranslationRequest``.
    :param said: called with one line per pair after the pair is measured.
    :raises DomainNotFoundError, HubMismatchError, UsageError, DataError.
    """
    from anchor_hub.system.devices import resolve_device
    from anchor_hub.translation.request import TranslationRequest

    if pairs is None:
        if len(domains) < 2 or len(set(domains)) != len(domains):
            raise UsageError(f"--domains {','.join(domains)}: name at least two different domains, with commas")
        pairs = [(source, target) for source in domains for target in domains if source != target]
    on = resolve_device(device)
    for name in domains:
        data.render_modality(name)  # refuses an unknown domain before anything is rendered
    way: dict[str, Any] = {"backend": backend, "translator": translator, "options": dict(options or {})}
    requests = {pair: TranslationRequest(source=pair[0], target=pair[1], **way) for pair in pairs}
    opened = {pair: request.open(on).translator for pair, request in requests.items()}
    answered = _answers(others or {}, pairs)  # before anything is rendered, too
    benchmark = Benchmark.open(
        domains, count=count, seed=seed, batch=batch, device=on, report=report, judges=judges, progress=progress
    )
    known = [pair for pair in benchmark.others_of(earlier) if pair.backend not in (others or {})] if earlier else []
    total, passed = benchmark.samples.count * (len(pairs) + len(answered)), 0

    def done(count: int) -> None:
        nonlocal passed
        passed += count
        if progress is not None:
            progress(min(passed, total), total)

    benchmark.done = done
    results: list[PairResult] = []
    outputs: dict[str, Tensor] = {}
    last = ""
    for source, target in pairs:
        if source != last:  # pairs of one source stand together
            together = [between for (start, _), between in opened.items() if start == source]
            outputs, last = benchmark.translations(together), source
        first, between = len(results), opened[source, target]
        results.append(benchmark.pair(between, outputs[target]))
        for other, folder in answered.get((source, target), ()):
            results.append(benchmark.outputs_of(other, source, End.target(between), folder))
        results += [pair for pair in known if (pair.source, pair.target) == (source, target)]
        if said is not None:
            for pair in results[first:]:
                said(_line(pair))
    return benchmark.result(results, opened[pairs[0]].identity.hub)


def evaluate(
    source: str | None,
    target: str | None,
    *,
    report: Path,
    count: int | None = None,
    seed: int = 0,
    batch: int = BATCH,
    workers: int = 1,
    device: str = "auto",
    resume: bool = False,
    progress: Progress | None = None,
    **way: Any,
) -> RunResult:
    """The result of ``anchor evaluate --benchmark rendered-faces``.

    :param source, target: names of the domains; both None: all ordered pairs of the trained domains.
    :param workers, resume: without effect, since samples are read once and a pair takes a minute.
    :param way: ``backend``, ``translator`` and ``options`` of :func:`run`.

    :raises UsageError: only one of ``source`` and ``target`` is given.
    """
    options: dict[str, Any] = {
        "count": count, "seed": seed, "batch": batch, "device": device, "report": report, "progress": progress,
        **way,
    }  # fmt: skip
    if source is None and target is None:
        return run(trained_domains(), **options)
    if source is None or target is None:
        raise UsageError("--benchmark rendered-faces: give both --from and --to, or neither for all pairs")
    return run(list(dict.fromkeys([source, target])), pairs=[(source, target)], **options)


def trained_domains() -> list[str]:
    """Names of the domains of rendered faces that are trained on this machine.

    :raises UsageError: there are fewer than two.
    """
    from anchor_faces.rendering import MODALITIES
    from anchor_hub.plugins.registry import registry

    known = registry().domains
    names = [name for name in MODALITIES if name in known and known[name].bundle is not None]
    if len(names) < 2:
        raise UsageError("the benchmark needs two trained domains of rendered faces; add one: anchor add-domain sketch")
    return names


def _translated(translators: Sequence[Translator[Any]], samples: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Each target's name and output samples, on the CPU, for a batch of samples of the source."""
    from anchor_hub.domains.decoding import decode_each
    from anchor_hub.translation.anchor import AnchorTranslator

    first = translators[0]
    images = first.source_modality.to_network(samples)
    anchored = [translator for translator in translators if isinstance(translator, AnchorTranslator)]
    if len(anchored) == len(translators):
        found: dict[str, Tensor] = {}

        def keep(_: int, target: Domain, raw: Tensor) -> None:
            found[target.name] = target.modality.from_network(raw).cpu()

        decode_each([translator.target_domain for translator in anchored], anchored[0].encode(images), keep)
        yield from found.items()
        return
    for translator in translators:
        raw = translator.checked(translator.decode(translator.encode(images)), len(samples))
        yield translator.target, translator.target_modality.from_network(raw).cpu()


def _answers(
    others: Mapping[str, Path], pairs: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], list[tuple[str, Path]]]:
    """(source, target) -> (backend, folder) of each set of outputs that exists."""
    found: dict[tuple[str, str], list[tuple[str, Path]]] = {}
    for backend, folder in others.items():
        held = [pair for pair in pairs if (folder / f"{pair[0]}-to-{pair[1]}").is_dir()]
        if not held:
            raise DataError(
                f"{folder}: holds no outputs of {backend} for any of the pairs; expected folders such as "
                f"{pairs[0][0]}-to-{pairs[0][1]}"
            )
        for source, target in held:
            found.setdefault((source, target), []).append((backend, folder / f"{source}-to-{target}"))
    return found


def _line(pair: PairResult) -> str:
    def text(metric: Metric) -> str:
        beside = [f"floor {metric.floor:.3g}"] if metric.floor is not None else []
        beside += [f"chance {metric.chance:.3g}"] if metric.chance is not None else []
        return f"{metric.name} {metric.shown_value()}" + (f" ({', '.join(beside)})" if beside else "")

    return f"{pair.name}: " + "; ".join(text(metric) for metric in pair.metrics)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, 6) if isinstance(value, float) else value


def dumped(result: RunResult) -> bytes:
    """The run as JSON with six digits, as it is committed; ``read_run`` reads it back."""
    text = json.dumps(_rounded(result.model_dump(mode="json")), indent=1, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()

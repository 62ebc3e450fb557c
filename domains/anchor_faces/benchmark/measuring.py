"""Measures translations: the benchmark with its samples and judges in memory."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from anchor_faces.benchmark import samples as data
from anchor_faces.benchmark.factor_groups import kept_groups
from anchor_faces.benchmark.judge_kinds import FACES, JUDGE_KINDS, JudgeKind, judge_kind_of
from anchor_faces.benchmark.judges import Judges, load_judges
from anchor_faces.benchmark.samples import End
from anchor_faces.benchmark.scoring import PictureJudge, Scores, label_scores, landmark_scores, picture_scores
from anchor_hub.errors import DataError, UsageError
from anchor_hub.evaluation.result import DataRecord, HubRecord, PairResult, RunResult, SampleResult, write_samples
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
    :param given: judges that stand in for the package's of their kind.
    """

    samples: data.Samples
    face_judge: PictureJudge
    seed: int = 0
    batch: int = BATCH
    report: Path | None = None
    done: Callable[[int], None] = field(default=lambda count: None, repr=False)
    given: Judges | None = field(default=None, repr=False)
    _judges: dict[str, PictureJudge] = field(default_factory=dict, repr=False)

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

        :param judges: folder of a bundle of judges, which stand in for the package's of their kind; None: the judges
            that come with the package.
        :raises UsageError: a domain that is not one of rendered faces, or a ``count`` out of range.
        """
        given = None if judges is None else load_judges(judges, device)
        faces = given if given is not None and given.kind is FACES else load_judges(device=device)
        samples = data.benchmark_samples(where or home(), domains, count, progress)
        return cls(samples, PictureJudge(faces, samples.truth), seed, max(1, batch), report, given=given)

    def judges(self, kind: JudgeKind) -> Judges:
        """The judges of a kind: those given, or the package's."""
        if kind is FACES:
            return self.face_judge.judges
        if self.given is not None and self.given.kind is kind:
            return self.given
        return load_judges(device=self.face_judge.judges.device, kind=kind)

    def judge_of(self, target: End) -> PictureJudge | None:
        """The judge of pictures as the target's; None where no judges read them, as with label maps and sketches."""
        picture = data.render_modality(target.name)
        kind = judge_kind_of(picture)
        if kind is None or not target.modality.traits.picture:
            return None
        if kind is FACES:
            return self.face_judge
        if picture not in self._judges:  # their truth is read, and measured, when a pair needs them
            self._judges[picture] = PictureJudge(self.judges(kind), self.samples.truth_of(picture))
        return self._judges[picture]

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
        judge = self.judge_of(target)
        styles = self._styles(translator) if judge is not None else []
        if judge is not None and styles:
            few = self.samples.of(source)[:STYLED]
            kept = kept_groups(data.render_modality(source.name), data.render_modality(target.name))
            styled = [self._styled(translator, few, style) for style in styles]
            scores.metrics.extend(judge.diversity(styled, kept, self.seed))
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
        kept = kept_groups(data.render_modality(source), kind)
        judge = self.judge_of(target)
        if judge is self.face_judge:
            return judge.score(outputs, kept)
        truth = self.samples.of(target)
        if judge is not None:
            by_judge, plain = judge.score(outputs, kept), picture_scores(outputs, truth)
            return Scores(by_judge.metrics + plain.metrics, by_judge.by_sample | plain.by_sample)
        if target.modality.traits.classes:
            scores = label_scores(outputs, truth, list(target.modality.traits.classes))
        elif target.modality.traits.points:
            scores = landmark_scores(outputs, truth)
        else:
            scores = picture_scores(outputs, truth)
        factors = self.face_judge.read_factors(kind, outputs, truth, target.size, kept)
        return Scores(scores.metrics + ([factors] if factors else []), scores.by_sample)

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
        for kind in JUDGE_KINDS.values():
            if kind is not FACES and kind.recorded in earlier.settings:
                ours[kind.recorded] = self.judges(kind).describe()
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
        settings = samples.settings()
        for kind in JUDGE_KINDS.values():
            used = {picture: judge for picture, judge in self._judges.items() if judge.judges.kind is kind}
            floors = {
                picture: {"samples": samples.count, **rounded(judge.floor)}
                for picture, judge in ({"face": self.face_judge} if kind is FACES else used).items()
            }
            if floors:
                settings[kind.recorded] = self.judges(kind).describe()
                settings[f"{kind.recorded}_floor"] = floors["face"] if kind is FACES else floors
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
            settings=settings,
            versions={"anchor-hub": __version__, "torch": torch.__version__},
            machine=f"{platform.machine()}, {judges.device.type}, {torch.get_num_threads()} threads",
        )  # fmt: skip


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


def rounded(value: Any) -> Any:
    """Plain values with six digits, as runs are written."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(value, 6) if isinstance(value, float) else value

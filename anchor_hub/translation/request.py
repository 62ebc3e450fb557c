"""The one way to ask for a translation: a request of plain values opens a session, which translates samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from anchor_hub.errors import UsageError
from anchor_hub.modality import Modality
from anchor_hub.system.precision import autocast, resolve_precision
from anchor_hub.translation.backends import find_way
from anchor_hub.translation.base import OWN, RANDOM, REFERENCE, Translator, read_options
from anchor_hub.translation.inputs import Inputs
from anchor_hub.translation.styles import check_truncation


class TranslationRequest(BaseModel):
    """What ``anchor translate``, Python's ``translate``, ``anchor evaluate`` and the benchmarks ask with.

    Plain JSON (``model_dump_json``, ``model_validate_json``): it can be written beside outputs and sent to workers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: Names of domains, bundle folders, or the translator's own names.
    source: str
    target: str
    #: None: ``anchor`` between domains of one hub, else that of the installed translator that serves the pair.
    backend: str | None = None
    #: A trained translator, by name or bundle folder; needed if several serve the pair.
    translator: str | None = None
    #: Random styles for each input; 0 (and no ``references``): the backend's own look.
    styles: int = Field(default=0, ge=0)
    #: Draw new random styles for every input instead of the same for all.
    vary: bool = False
    #: Seed of the random styles.
    seed: int = 0
    #: Truncation of the random styles; 1 is none.
    truncation: float = 1.0
    #: Pictures whose style to take; each gives one output per input.
    references: tuple[str, ...] = ()
    #: ``fp32``; ``bf16``: bfloat16 arithmetic, faster where it is native, with small errors; ``auto``: bf16 there.
    precision: str = "fp32"
    #: Options of the backend.
    options: dict[str, Any] = Field(default_factory=dict)

    def open(self, device: str | torch.device = "auto") -> Session:
        """The session that answers this request; finds and loads the backend, once.

        :raises UsageError: contradictions, or an option that the backend does not have: before anything is loaded.
        :raises NotFoundError: an unknown name, or no way between the two.
        """
        self.check()
        way = find_way(self.source, self.target, backend=self.backend, translator=self.translator)
        self.check_styles(way.kind, way.backend)
        options = read_options(way.kind, way.backend, self.options)
        between = way.kind.open(self.source, self.target, bundle=way.bundle, options=options, device=device)
        return Session(between, self)

    def check(self) -> None:
        """Raise UsageError for values that contradict each other with any backend."""
        check_truncation(self.truncation)
        if self.references and self.styles:
            raise UsageError("--styles draws random styles, --style-from takes an image's: use one of them")
        if not self.styles:
            for option, given in (("--truncation", self.truncation != 1.0), ("--vary", self.vary)):
                if given:
                    raise UsageError(f"{option} acts on random styles: give --styles N, too")

    def check_styles(self, kind: type[Translator[Any]], backend: str) -> None:
        """Raise UsageError if the backend does not take the styles that are asked for."""
        for wanted, given, option in (
            (RANDOM, self.styles, "--styles"), (REFERENCE, self.references, "--style-from"),
        ):  # fmt: skip
            if given and wanted not in kind.styles:
                raise UsageError(f"{option}: the backend {backend!r} takes no {wanted} styles; leave it out")
        if not self.styles and not self.references and OWN not in kind.styles:
            other = "--styles N" if RANDOM in kind.styles else "--style-from IMAGE"
            raise UsageError(f"the backend {backend!r} has no look of its own: give {other}")


class Session:
    """An opened request: translates samples, in batches of any size, with the same results.

    ``unit`` is what one of several outputs of an input is called: in the names of files (``-style1``) and on sheets.

    :param translator: what was opened.
    :param request: the request; its backend, translator and options are not read again.
    :param inputs: how inputs become content; default: files of the source's modality, which the translator encodes.
    :raises UsageError: the translator lacks the styles that are asked for.
    :raises ImageError: a reference picture cannot be read.
    """

    unit: ClassVar[str] = "style"

    def __init__(
        self, translator: Translator[Any], request: TranslationRequest, inputs: Inputs | None = None
    ) -> None:
        request.check()
        self.inputs = inputs or Inputs(translator)
        self.translator, self.request = translator, request
        self.source_modality: Modality = translator.source_modality
        self.target_modality: Modality = translator.target_modality
        self.size = translator.size
        self.precision = resolve_precision(request.precision, translator.device)
        #: Previews of the reference pictures, uint8 ``[3, H, W]``, for sheets.
        self.pictures: tuple[Tensor, ...] = ()
        self._shared: list[Tensor | None] = [None]
        if request.references:
            self._shared = list(self._reference_styles())
        elif request.styles:
            # Drawn here even if every input gets its own: an error is then raised before any work.
            self._shared = [row[None] for row in self._random_styles(0)]

    @property
    def outputs(self) -> int:
        """Outputs per input."""
        return len(self._shared)

    @property
    def labels(self) -> list[str]:
        """A heading for each output of an input."""
        return [f"{self.unit} {number}" for number in range(1, self.outputs + 1)]

    def read(self, path: str | Path) -> Tensor:
        """The sample in a file. :raises ImageError: it cannot be read."""
        return self.source_modality.read(path, self.size)

    def __call__(self, samples: Tensor, indices: Sequence[int]) -> list[Tensor]:
        """A batch of target samples (on the CPU) for each style.

        :param samples: a batch of source samples ``[B, ...]``.
        :param indices: the samples' numbers among all inputs; with ``vary``, the random styles depend on them.
        """
        with torch.inference_mode(self.translator.inference), autocast(self.precision, self.translator.device):
            content = self.inputs.content(samples)
            batches = [self._decoded(content, style, len(samples)) for style in self.styles(indices)]
        # What was made in inference mode would be refused by whoever computes gradients of it.
        return [batch.clone() if batch.is_inference() else batch for batch in batches]

    def _decoded(self, content: Any, style: Tensor | None, count: int) -> Tensor:
        with torch.no_grad():
            output = self.translator.checked(self.translator.decode(content, style), count)
        return self.target_modality.from_network(output.float()).cpu()

    def compute(self, samples: Sequence[Tensor], indices: Sequence[int]) -> list[list[Tensor]]:
        """Outputs of each sample, one per style; see :meth:`__call__`."""
        columns = self(self.inputs.collate(samples), indices)
        return [[column[row] for column in columns] for row in range(len(samples))]

    def styles(self, indices: Sequence[int]) -> list[Tensor | None]:
        """One style for each output of the inputs of these numbers; None: the backend's own look.

        ``[1, ...]``, or with ``vary`` ``[B, ...]``: every input has its own.
        """
        if not (self.request.vary and self.request.styles):
            return self._shared
        own = [self._random_styles(index * self.request.styles) for index in indices]
        return list(torch.stack(own, dim=1))

    def _random_styles(self, start: int) -> Tensor:
        ask = self.request
        return self.translator.random_styles(ask.styles, seed=ask.seed, start=start, truncation=ask.truncation)

    def _reference_styles(self) -> list[Tensor]:
        modality = self.translator.reference_modality
        samples = [modality.read(path, self.size) for path in self.request.references]
        styles = self.translator.reference_styles(modality.to_network(modality.collate(samples)))
        self.pictures = tuple(modality.preview(sample, self.size) for sample in samples)
        return [row[None] for row in styles]

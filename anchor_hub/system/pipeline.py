"""Reading, computing and writing at the same time: threads with bounded queues around one computing thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from anchor_hub.errors import AnchorError
from anchor_hub.system.reading_ahead import Item, ReadAhead, Sample

Result = TypeVar("Result")


class Pipeline(Generic[Item, Sample, Result]):
    """Read items in threads, compute batches in the calling thread, write results in a thread.

    :param read: item to sample; runs in ``readers`` threads, at most ``ahead`` batches before they are needed.
    :param compute: items and their samples, in order, to one result each; runs in the calling thread.
    :param write: item and its result; runs in one thread, in order, at most ``ahead`` batches behind.
    :param skip: called with an item that could not be read and its error, which is then left out; without it
        (None) the first such error ends the run.

    Any other error ends the run, too, as does Ctrl-C: nothing is read or written once :meth:`run` has
    returned or raised.
    """

    def __init__(
        self,
        read: Callable[[Item], Sample],
        compute: Callable[[Sequence[Item], Sequence[Sample]], Sequence[Result]],
        write: Callable[[Item, Result], None],
        *,
        batch: int,
        readers: int = 2,
        ahead: int = 2,
        skip: Callable[[Item, AnchorError], None] | None = None,
    ) -> None:
        self.read, self.compute, self.write = read, compute, write
        self.batch, self.readers, self.ahead, self.skip = batch, readers, ahead, skip

    def run(self, items: Iterable[Item]) -> int:
        """Process all items and return how many were written."""
        written = 0
        pending: deque[Future[None]] = deque()
        reading = ReadAhead(self.read, items, readers=self.readers, ahead=self.batch * self.ahead)
        writing = ThreadPoolExecutor(1, thread_name_prefix="anchor-write")
        try:
            for batch in self._batches(reading):
                members = [item for item, _ in batch]
                results = self.compute(members, [sample for _, sample in batch])
                for item, result in zip(members, results, strict=True):
                    pending.append(writing.submit(self.write, item, result))
                while len(pending) > self.batch * self.ahead:
                    pending.popleft().result()
                    written += 1
            while pending:
                pending.popleft().result()
                written += 1
        finally:
            reading.close()
            writing.shutdown(wait=True, cancel_futures=True)
        return written

    def _batches(self, reading: ReadAhead[Item, Sample]) -> Iterator[list[tuple[Item, Sample]]]:
        batch: list[tuple[Item, Sample]] = []
        for item, future in reading:
            try:
                batch.append((item, future.result()))
            except AnchorError as error:
                if self.skip is None:
                    raise
                self.skip(item, error)
            if len(batch) == self.batch:
                yield batch
                batch = []
        if batch:
            yield batch

"""Reading in threads, in order, a bounded number of items before they are asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from types import TracebackType
from typing import Generic, TypeVar

Item = TypeVar("Item")
Sample = TypeVar("Sample")


class ReadAhead(Generic[Item, Sample]):
    """An iterator over pairs of an item and the future of ``read(item)``, in the items' order.

    As a context manager it ends its threads: reads that have begun are waited for, the others never begin.

    :param readers: threads that read.
    :param ahead: items, at most, that are read or being read and were not asked for yet.
    """

    def __init__(
        self, read: Callable[[Item], Sample], items: Iterable[Item], *, readers: int, ahead: int
    ) -> None:
        self.read, self.ahead = read, ahead
        self._waiting = iter(items)
        self._queue: deque[tuple[Item, Future[Sample]]] = deque()
        self._pool = ThreadPoolExecutor(readers, thread_name_prefix="anchor-read")

    def __iter__(self) -> Iterator[tuple[Item, Future[Sample]]]:
        return self

    def __next__(self) -> tuple[Item, Future[Sample]]:
        for item in islice(self._waiting, self.ahead - len(self._queue)):
            self._queue.append((item, self._pool.submit(self.read, item)))
        if not self._queue:
            raise StopIteration
        return self._queue.popleft()

    def close(self) -> None:
        """End the threads; what was read and not asked for is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._queue.clear()

    def __enter__(self) -> ReadAhead[Item, Sample]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

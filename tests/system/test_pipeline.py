"""The overlapped pipeline: order, batches, errors, skipping, and that reading really overlaps computing."""

from __future__ import annotations

import threading
import time

import pytest

from anchor_hub.errors import ImageError
from anchor_hub.system.pipeline import Pipeline
from anchor_hub.system.reading_ahead import ReadAhead


def run(items, *, read=lambda item: item, write=None, batch=3, skip=None, **options):
    batches, written = [], []

    def compute(members, samples):
        batches.append(list(members))
        return [sample * 10 for sample in samples]

    pipeline = Pipeline(
        read,
        compute,
        write or (lambda item, result: written.append((item, result))),
        batch=batch,
        skip=skip,
        **options,
    )
    return pipeline.run(items), batches, written


def test_order_and_batches():
    count, batches, written = run(range(8), readers=4)
    assert count == 8
    assert batches == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert written == [(item, item * 10) for item in range(8)]


def test_slow_early_reads_do_not_change_the_order():
    def read(item):
        time.sleep(0.02 if item % 3 == 0 else 0)
        return item

    assert run(range(9), read=read, readers=3)[2] == [(item, item * 10) for item in range(9)]


def test_bad_items_are_skipped_or_end_the_run():
    def read(item):
        if item == 4:
            raise ImageError("4: is bad")
        return item

    skipped = []
    count, batches, _ = run(range(6), read=read, skip=lambda item, error: skipped.append((item, str(error))))
    assert count == 5 and skipped == [(4, "4: is bad")]
    assert batches == [[0, 1, 2], [3, 5]], "a batch is filled up behind a bad item"
    with pytest.raises(ImageError, match="4: is bad"):
        run(range(6), read=read)


@pytest.mark.parametrize("stage", ["read", "write"])
def test_any_other_error_ends_the_run_and_its_threads(stage):
    def broken(*_):
        raise RuntimeError("broken")

    before = threading.active_count()
    with pytest.raises(RuntimeError, match="broken"):
        run(range(50), **{stage: broken}, skip=lambda *_: None)
    assert threading.active_count() == before


def test_reading_stays_within_bounds():
    started = []

    def read(item):
        started.append(item)
        return item

    seen = []

    def compute(members, samples):
        seen.append(len(started))
        return list(samples)

    Pipeline(read, compute, lambda *_: None, batch=2, ahead=2).run(range(40))
    assert max(ahead - 2 * (index + 1) for index, ahead in enumerate(seen)) <= 4


def test_reading_overlaps_computing_and_writing():
    # Nobody passes before a read, a computation and a write are under way at once; one after the other, they never are.
    together = threading.Barrier(3)

    def read(item):
        if item == 6:
            together.wait(timeout=60)
        return item

    def compute(members, samples):
        if 4 in members:
            together.wait(timeout=60)
        return samples

    def write(item, result):
        if item == 2:
            together.wait(timeout=60)

    assert Pipeline(read, compute, write, batch=2, readers=1).run(range(16)) == 16
    assert not together.broken


def test_read_ahead_keeps_order_bounds_and_errors():
    def read(item):
        started.append(item)
        if item == 5:
            raise ImageError("5: is bad")
        return item * 10

    started, found = [], []
    before = threading.active_count()
    with ReadAhead(read, iter(range(100)), readers=3, ahead=4) as reading:
        for item, future in reading:
            if item == 5:
                with pytest.raises(ImageError, match="5: is bad"):
                    future.result()
                continue
            found.append(future.result())
            assert len(started) <= item + 4
            if item == 9:
                break
    assert found == [0, 10, 20, 30, 40, 60, 70, 80, 90]
    assert threading.active_count() == before and len(started) <= 13
    with ReadAhead(read, [], readers=1, ahead=1) as reading:
        assert list(reading) == []

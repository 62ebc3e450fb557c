"""What the readers of published layouts have in common: saying what of a file does not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from anchor_hub.checkpoints.raw import RawCheckpoint
from anchor_hub.errors import CheckpointError


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Entries that are missing or impossible raise CheckpointError saying so of ``what``, the network."""
    try:
        yield
    except CheckpointError:
        raise
    except KeyError as error:
        raise CheckpointError(f"lacks the entry {str(error.args[0])[:80]!r} of a {what}") from error
    except (ValueError, IndexError, ZeroDivisionError) as error:
        raise CheckpointError(f"has entries that do not make a {what}: {error}") from error


def discriminator_of(
    read: Callable[[Any], nn.Module], content: Any, file: RawCheckpoint | None, notes: list[str]
) -> nn.Module | None:
    """The discriminator, where there is one.

    One of the generator's own file that does not fit is left out, and ``notes`` say so.

    :param file: the second file, where it is of one.
    :raises CheckpointError: that of a second file does not fit; beginning with the file's path.
    """
    if content is None:
        return None
    try:
        return read(content)
    except CheckpointError as error:
        if file is not None:
            raise CheckpointError(f"{file.path}: {error}") from error
        notes.append(f"Its discriminator was left out: {error}.")
        return None

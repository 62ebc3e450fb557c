"""Shared by the readers of published layouts: errors that say what does not fit in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from anchor_hub.checkpoints.raw import RawCheckpoint
from anchor_hub.errors import CheckpointError


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn errors about missing or impossible entries into a CheckpointError about ``what``, the network."""
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
    """The discriminator in ``content``; None if there is none.

    A discriminator in the generator's own file that does not fit is left out, and ``notes`` say so.

    :param file: the second file, if ``content`` comes from one.
    :raises CheckpointError: the discriminator of a second file does not fit; begins with the file's path.
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

"""Errors a user may see. Each also derives from the natural builtin, so ordinary `except ValueError` code works.

A message says what failed, on which file or name, and what to do. The command line prints it without a
traceback and exits with `exit_code`: 1 where data is wrong, 2 where the call is wrong.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AnchorError(Exception):
    """Base of every error this project raises on purpose."""

    exit_code = 1

    def __str__(self) -> str:
        # KeyError would print the repr of its argument; messages are sentences.
        return str(self.args[0]) if len(self.args) == 1 else super().__str__()


class BundleError(AnchorError, ValueError):
    """A hub, domain or translator on disk is damaged, incomplete, foreign or from the future."""


class CheckpointError(AnchorError, ValueError):
    """A training checkpoint or a published checkpoint cannot be used."""


class ImageError(AnchorError, ValueError):
    """An image, label map or landmark file cannot be used; the message starts with its path."""


class DataError(AnchorError, ValueError):
    """A data set (folder, manifest, table) cannot be used."""


class TrainingError(AnchorError, RuntimeError):
    """Training had to stop: NaN loss, nothing to train on, a run folder in use."""


class HubMismatchError(AnchorError, ValueError):
    """Two things of different hubs were combined; the message names both hubs."""


class HomeError(AnchorError, OSError):
    """The home folder (or a file in it) cannot be read, written or locked."""


class MissingPartError(AnchorError, ValueError):
    """A domain was asked for the direction it lacks (no encoder, or no decoder)."""


class UsageError(AnchorError, ValueError):
    """The call itself is wrong: an option, a combination of options, an argument."""

    exit_code = 2


class ConfigError(AnchorError, ValueError):
    """A YAML file or a table of options is wrong; the message names the file and the key."""

    exit_code = 2


class DeviceError(AnchorError, RuntimeError):
    """The device asked for is not there, or is out of memory."""

    exit_code = 2


class PluginError(AnchorError, RuntimeError):
    """A plugin is broken; the message names the plugin and its distribution."""


class NotFoundError(AnchorError, KeyError):
    """Nothing of that name is registered; the message suggests the nearest names."""

    exit_code = 2


class HubNotFoundError(NotFoundError):
    """No hub of that name."""


class DomainNotFoundError(NotFoundError):
    """No domain of that name."""


class TranslatorNotFoundError(NotFoundError):
    """No translator of that name, or none between two names."""


class PriorNotFoundError(NotFoundError):
    """No prior of that name."""


class ArchitectureNotFoundError(NotFoundError):
    """No plugin on this machine loads bundles of that architecture."""


class CheckpointReaderNotFoundError(NotFoundError):
    """No reader of published checkpoints has that name."""


class InverterNotFoundError(NotFoundError):
    """No inverter of that name."""


class ModalityNotFoundError(NotFoundError):
    """No modality of that name."""


class BackendNotFoundError(NotFoundError):
    """No translator backend of that name."""


class DatasetNotFoundError(NotFoundError):
    """No data set of that name."""


class RecipeNotFoundError(NotFoundError):
    """No training recipe of that name."""


class ExtractorNotFoundError(NotFoundError):
    """No feature extractor of that name."""


class BenchmarkNotFoundError(NotFoundError):
    """No benchmark of that name."""


class CommandNotFoundError(NotFoundError):
    """No command of that name."""


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """A sentence naming the nearest of `candidates`, or the whole (short) list, or '' where there is none.

    Begins with a space, so that it can be appended to a message: `f"no hub named
    {name!r}.{did_you_mean(...)}"`.
    """
    known = sorted(str(candidate) for candidate in candidates)
    if not known:
        return ""
    near = difflib.get_close_matches(str(name)[:200].lower(), known, n=3, cutoff=0.6)
    if near:
        return f" Did you mean {' or '.join(repr(item) for item in near)}?"
    shown = ", ".join(known[:12])
    return f" Known: {shown}{f' and {len(known) - 12} more' if len(known) > 12 else ''}."

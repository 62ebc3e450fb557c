"""Whether a training may write where it is told to: asked before it starts, not after hours of it."""

from __future__ import annotations

from pathlib import Path

from anchor_hub.errors import UsageError


def check_target_is_free(kind: str, name: str, target: Path, run: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse to replace a bundle, a run or (whatever the options) a folder of something else.

    :param kind: "hub" or "domain", for the messages.
    :raises UsageError: saying which option or name to choose.
    """
    is_bundle = (target / "bundle.yaml").is_file()
    if target.exists() and not is_bundle and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} exists and is no bundle: choose another folder for the {kind} (--output)")
    if is_bundle and not overwrite:
        again = "--resume --overwrite" if resume else "--overwrite"
        raise UsageError(
            f"{kind} {name!r} exists already ({target}): train it anew with {again}, or choose another name"
        )
    if not resume and not overwrite and holds_run(run):
        raise UsageError(
            f"{run} holds a run of {kind} {name!r} that was begun before: go on with it by adding --resume to the same "
            "command, or start afresh with --overwrite"
        )


def holds_run(run: Path) -> bool:
    """Whether the run folder holds a checkpoint to go on from."""
    return any(run.glob("checkpoints/step-*.pt"))

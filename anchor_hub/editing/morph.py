"""Morphs: pictures of latents on a line from one picture's to the next one's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from anchor_hub.errors import UsageError
from anchor_hub.images.animation import SUFFIXES, write_animation
from anchor_hub.images.writing import write_image
from anchor_hub.system.inputs import shown
from anchor_hub.system.outputs import check_file, check_new
from anchor_hub.system.precision import autocast
from anchor_hub.system.staging import Staging
from anchor_hub.translation.anchor import AnchorTranslator
from anchor_hub.translation.request import Session


def positions(pictures: int, frames: int, *, loop: bool = False, ease: bool = False) -> list[tuple[int, int, float]]:
    """``(from, to, share)`` of each frame: the share of picture ``to`` in 0 to 1, the rest is ``from``.

    :param frames: from one picture to the next. :param loop: go on from the last picture to the first.
    :param ease: slow at each picture, ``3 t^2 - 2 t^3``.
    """
    legs = [(index, (index + 1) % pictures) for index in range(pictures if loop else pictures - 1)]
    places = [
        (start, end, share * share * (3 - 2 * share) if ease else share)
        for start, end in legs
        for share in (step / frames for step in range(frames))
    ]
    # A loop's next frame is its first one; it is not shown twice.
    return places if loop else [*places, (legs[-1][0], legs[-1][1], 1.0)]


def morph_frames(
    session: Session,
    samples: Sequence[Tensor],
    *,
    frames: int = 24,
    loop: bool = False,
    ease: bool = False,
    batch: int = 16,
) -> Iterator[Tensor]:
    """Target samples (on the CPU) along the line through the latents of source samples, two at least.

    Without ``loop`` the first and the last one are the translations of the first and the last sample.

    :param session: of the backend ``anchor``, as ``open_editor`` and ``open_latents`` open it.
    :param frames, loop, ease: see :func:`positions`.
    """
    anchor = session.translator
    assert isinstance(anchor, AnchorTranslator)
    codes: list[tuple[Tensor, Tensor]] = []
    with torch.no_grad(), autocast(session.precision, anchor.device):
        for begin in range(0, len(samples), batch):
            structure = session.inputs.content(session.inputs.collate(samples[begin : begin + batch]))
            styled = anchor.with_style(structure, session.styles(range(begin, begin + len(structure)))[0])
            codes.extend(zip(structure, styled, strict=True))
        places = positions(len(samples), frames, loop=loop, ease=ease)
        for begin in range(0, len(places), batch):
            moved = [
                torch.stack([torch.lerp(codes[start][kind], codes[end][kind], share) for start, end, share in part])
                for kind, part in ((kind, places[begin : begin + batch]) for kind in (0, 1))
            ]
            yield from session.target_modality.from_network(anchor.picture(*moved).float()).cpu()


def morph_files(
    session: Session,
    inputs: Sequence[str | Path],
    output: str | Path,
    *,
    frames: int = 24,
    loop: bool = False,
    ease: bool = False,
    rate: float = 25,
    scale: int = 1,
    batch: int = 16,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Path, int]:
    """Morph from file to file and write an animation, or a folder of frames; returns it and the number of frames.

    :param output: a file ending in .gif, .webp (lossless), .png or .apng, or a folder, where frames are written as
        ``0000.png`` and so on.
    :param rate: frames a second. :param scale: each pixel becomes a square of this side.
    :raises UsageError: fewer than two pictures, or an output of another kind.
    :raises ImageError, DataError: a file cannot be read, or the output not written.
    """
    path = Path(output)
    animated = bool(path.suffix) and not path.is_dir()
    if animated and path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"-o {shown(path)}: a morph is written as {', '.join(SUFFIXES)}, or into a folder")
    check_file(path, "-o") if animated else check_new(path, "-o")
    if frames < 1 or scale < 1 or not rate > 0:
        raise UsageError("--frames, --scale and --fps must be 1 or more")
    files = session.inputs.files(inputs)
    if len(files) < 2:
        raise UsageError("a morph goes from one picture to another: give two files at least, or latents of two")
    samples = [session.inputs.read(item) for item in files]
    total = len(positions(len(samples), frames, loop=loop))
    pictures = []
    found = morph_frames(session, samples, frames=frames, loop=loop, ease=ease, batch=batch)
    for number, sample in enumerate(found):
        picture = session.target_modality.preview(sample, session.size)
        pictures.append(picture.repeat_interleave(scale, dim=-2).repeat_interleave(scale, dim=-1))
        if progress is not None:
            progress(number + 1, total)
    if animated:
        return write_animation(pictures, path, rate=rate), total
    digits = max(4, len(str(total)))
    with Staging(path) as staging:
        for number, picture in enumerate(pictures):
            write_image(picture, staging.path(path / f"{number:0{digits}}.png"))
        staging.commit()
    return path, total

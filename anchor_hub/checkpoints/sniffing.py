"""Recognises files that are no checkpoints by their first bytes, and says in a sentence what they are."""

from __future__ import annotations

import json

_MAGIC = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "a gzip archive: unpack it, and import what is in it",
    b"BZh": "a bzip2 archive: unpack it, and import what is in it",
    b"\xfd7zXZ": "an xz archive: unpack it, and import what is in it",
    b"7z\xbc\xaf\x27": "a 7z archive: unpack it, and import what is in it",
    b"Rar!": "a RAR archive: unpack it, and import what is in it",
    b"(\xb5/\xfd": "a zstd archive: unpack it, and import what is in it",
    b"\x89HDF": "an HDF5 file (Keras?), which is not supported",
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"\xcf\xfa\xed\xfe": "a program",
    b"#!": "a script",
    b"PK\x05\x06": "an empty zip",
    b"GGUF": "a GGUF file (a language model?), which is not supported",
    b"\x93NUMPY": "a numpy array; a checkpoint holds several tensors by name",
}
SUPPORTED = "torch (.pt, .pth, .bin), NVIDIA pickles (.pkl), .safetensors, a folder with config.json"


def foreign_kind(head: bytes, size: int) -> str | None:
    """A sentence on what a file with these first bytes is, and what to do; None if it may be a checkpoint.

    :param head: the first 1,024 bytes, or all.
    :param size: of the whole file.
    """
    if not size:
        return "is empty: download or copy it again"
    if head.startswith(b"version https://git-lfs.github.com/"):
        return "is a git-LFS pointer, not the file it stands for: fetch it with `git lfs pull`"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<!--", b"<?xml")):
        quota = " (of a download quota that is used up)" if b"quota" in text else ""
        return f"is a web page{quota}, not a checkpoint: open the link in a browser and download the file itself"
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            return f"is {what}"
    if head[257:262] == b"ustar":
        return (
            "is a tar archive (torch wrote such checkpoints before 0.1.10, or it is to be unpacked): unpack it, "
            "or save it again with a newer torch"
        )
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") > size - 8:
        return "is a .safetensors file that ends within its header (truncated): download or copy it again"
    if head[:4] == b"PK\x03\x04" or head[8:9] == b"{":
        return None
    if head[:1] == b"\x80":
        return None if head[1:2] and 0 < head[1] <= 5 else f"is no file of a known kind; supported: {SUPPORTED}"
    if _is_text(head):
        what = "JSON" if _is_json(head, size) else "text"
        return f"is {what}, not a checkpoint; supported: {SUPPORTED}"
    return f"is no file of a known kind (truncated or damaged?); supported: {SUPPORTED}"


def _is_text(head: bytes) -> bool:
    printable = sum(byte in b"\t\n\r\x0c" or 32 <= byte < 127 or byte >= 128 for byte in head)
    if printable < len(head):
        return False
    try:
        head[:-4].decode("utf-8")
    except UnicodeDecodeError:
        return False
    # Protocol 0 of pickle is text as well, and ends in a full stop; nobody publishes weights in it.
    return True


def _is_json(head: bytes, size: int) -> bool:
    if head.lstrip()[:1] not in (b"{", b"["):
        return False
    try:
        json.loads(head)
    except ValueError:
        return size > len(head)
    return True

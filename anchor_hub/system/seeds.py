"""Seeds derived from one seed for the parts of a whole: independent, and the same on every machine and Python."""

from __future__ import annotations

import hashlib

# The two functions join their parts with different signs. With one sign for both, either the samples of every seed or
# all training runs would change.


def derive_seed(seed: int, *parts: int | str) -> int:
    """An independent 63-bit seed for a part of what ``seed`` fixes when sampling (sample 5, style 2, ...)."""
    return _hashed(":", (seed, *parts))


def mix_seed(*parts: int | str) -> int:
    """A 63-bit seed for a part of a training run that depends on every part and on their order."""
    return _hashed("/", parts)


def _hashed(sign: str, parts: tuple[int | str, ...]) -> int:
    digest = hashlib.sha256(sign.join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1

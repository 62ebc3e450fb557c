"""What a person watching the training sees: speed, losses, time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any


def format_duration(seconds: float) -> str:
    """'45 s', '12 min', '2 h 05 min'."""
    seconds = max(0.0, seconds)
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


class Budget:
    """A run ends at `total_images` in all or after `max_minutes` of this start, whichever comes first."""

    def __init__(self, total_images: int | None, max_minutes: float | None) -> None:
        self.total_images, self.max_seconds = total_images, None if max_minutes is None else max_minutes * 60
        self.started = time.monotonic()

    def elapsed(self) -> float:
        """Seconds since this start."""
        return time.monotonic() - self.started

    def spent(self, images: int) -> str:
        """'images' or 'minutes' when that budget is used up, else ''."""
        if self.total_images is not None and images >= self.total_images:
            return "images"
        if self.max_seconds is not None and self.elapsed() >= self.max_seconds:
            return "minutes"
        return ""

    def seconds_left(self, images: int, images_per_second: float) -> float | None:
        """An estimate of the seconds until the run ends by itself; None while it cannot be known."""
        left = []
        if self.max_seconds is not None:
            left.append(self.max_seconds - self.elapsed())
        if self.total_images is not None and images_per_second > 0:
            left.append((self.total_images - images) / images_per_second)
        return max(0.0, min(left)) if left else None


class Progress:
    """On stderr: one updating line on a terminal, one line per tick elsewhere; nothing when `quiet`."""

    def __init__(self, title: str, quiet: bool = False) -> None:
        from rich.console import Console

        self.title, self.quiet = title, quiet
        self.console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
        self._live: Any = None

    def __enter__(self) -> Progress:
        if self.console.is_terminal and not self.quiet:
            from rich.live import Live

            self._live = Live(console=self.console, refresh_per_second=4, transient=False)
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, sentence: str) -> None:
        """A message that stays on the screen."""
        if not self.quiet:
            self.console.print(sentence, markup=False)

    def update(
        self, images: int, images_per_second: float, seconds_left: float | None, losses: Mapping[str, float]
    ) -> None:
        """Show where the run stands."""
        if self.quiet:
            return
        left = "" if seconds_left is None else f" · {format_duration(seconds_left)} left"
        values = "  ".join(f"{name} {value:.3f}" for name, value in losses.items())
        line = f"{self.title} · {images:,} images · {images_per_second:.1f} images/s{left} · {values}"
        if self._live is None:
            self.console.print(line, markup=False)
        else:
            from rich.text import Text

            self._live.update(Text(line))

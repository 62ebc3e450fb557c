"""The styles: who drew them, which square of the drawing a picture shows, and how often a part is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from anchor_hub.errors import UsageError, did_you_mean

DRAWING_VERSION = 1  # rises whenever any avatar's picture changes

# Light and even: the heads are white and stand out from all of them.
BACKGROUNDS = ("b6e3f4", "c0e8c9", "d9d0f5", "fbd5d9", "fbe3b5")


@dataclass(frozen=True)
class Style:
    """A style: an artist's drawings of parts, and how avatars are put together from them.

    :param frame: left, top and side of the square that a picture shows, in units of the drawing, so that heads are as
        large and lie as high as those of the hub faces-64.
    :param options: the generator's options; probabilities are in percent.
    """

    name: str
    artist: str
    source: str
    frame: tuple[int, int, int]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def license(self) -> str:
        return f"CC0-1.0 ({self.name.capitalize()} by {self.artist}, {self.source})"


STYLES = {
    style.name: style
    for style in (
        Style(
            "lorelei",
            artist="Lisa Wischofsky",
            source="figma.com/community/file/1198749693280469639",
            frame=(87, 60, 790),
            options={"beardProbability": 10, "glassesProbability": 20},
        ),
        Style(
            "notionists",
            artist="Zoish",
            source="heyzoish.gumroad.com/l/notionists",
            frame=(325, 225, 1000),
            # Gestures are hands in front of the body: no face of the hub shows any.
            options={"gestureProbability": 0},
        ),
    )
}


def find_style(name: str) -> Style:
    """The style of that name. :raises UsageError: there is none."""
    if name not in STYLES:
        raise UsageError(f"no style of avatars is called {name!r}.{did_you_mean(name, STYLES)}")
    return STYLES[name]

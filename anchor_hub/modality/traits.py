"""What a modality's samples are, in terms that every part of the library understands."""

from __future__ import annotations

from dataclasses import dataclass

from anchor_hub.errors import ConfigError


@dataclass(frozen=True)
class Traits:
    """What may be done with a modality's samples; a plugin's modality answers like the built-in ones.

    The library asks for traits and never for a modality's name. At most one trait is set; a modality without any is
    still trained, translated and compared picture by picture.

    :param picture: samples are colour pictures, uint8 ``[3, H, W]``, and networks see them as ``[B, 3, H, W]`` in
        [-1, 1], as the hub's own: they can be inverted, be exemplars of a style, and feed extractors of features.
    :param classes: samples are label maps, ids ``[1, H, W]`` of these classes: their accuracy and IoU are measured.
        Classes without names of their own are called ``"0"``, ``"1"``, ...
    :param ignored: label maps may hold the id after the last class, too: unlabelled pixels, which nothing counts.
    :param points: samples are this many points, float32 ``[N, 2]`` in pixels: their distances are measured. 0 where
        samples are drawings of points.
    """

    picture: bool = False
    classes: tuple[str, ...] = ()
    points: int = 0
    ignored: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.classes, tuple) or not all(isinstance(name, str) for name in self.classes):
            raise ConfigError(f"traits: classes is {self.classes!r}; give a tuple of the classes' names, in order")
        if isinstance(self.points, bool) or not isinstance(self.points, int) or self.points < 0:
            raise ConfigError(f"traits: points is {self.points!r}; give how many points a sample has, or 0")
        if sum((bool(self.picture), bool(self.classes), bool(self.points))) > 1:
            raise ConfigError("traits: samples are pictures, label maps or points; set one of picture, classes, points")

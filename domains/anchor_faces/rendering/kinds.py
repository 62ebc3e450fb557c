"""The kinds of subjects (people, their cartoon twins, cats, toy cars): how each is built and coloured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .car_geometry import car_parameters
from .car_scene import CarScene
from .car_surface import car_surface, ground_shadow
from .cat_geometry import cat_parameters
from .cat_scene import CatScene
from .cat_surface import add_whiskers, cat_surface
from .factors import Factors
from .lighting import Lights, angles, lights
from .parameters import Parameters
from .person_geometry import person_parameters
from .person_surface import add_lenses, person_surface
from .scene import PersonScene, Scene, person_dressing
from .shading import shade_cartoon, shade_fur, shade_skin_and_hair
from .sketch import ink_outlines
from .tracing import Hits


@dataclass
class Painted:
    """Linear RGB, class and strand pattern of the hits of a sample: ``[3, n]``, ``[n]``, ``[n]``."""

    rgb: Tensor
    label: Tensor
    strands: Tensor


@dataclass
class Buffers:
    """The supersampled picture ``[3, n, n]``, in [0, 1], and maps ``[n, n]`` of the same pixels."""

    rgb: Tensor
    label: Tensor
    depth: Tensor
    normal: Tensor  # [3, n, n], in the world's frame
    strands: Tensor


class Kind(ABC):
    """How one kind of subject is drawn."""

    @abstractmethod
    def parameters(self, f: Factors) -> Parameters:
        """The parameters that the factors give for this kind."""

    def order(self, p: Parameters) -> tuple[Any, ...]:
        """Samples that are alike in this are best next to each other in a scene."""
        return ()

    @abstractmethod
    def scene(self, samples: Sequence[Parameters]) -> Scene:
        """The distance functions of a group of samples."""

    @abstractmethod
    def lights(self, p: Parameters, f: Factors) -> Lights:
        """The lights of a sample."""

    @abstractmethod
    def paint(self, hits: Hits, p: Parameters, light: Lights) -> Painted:
        """Colour and classify the hits of a sample."""

    def behind(self, background: Tensor, p: Parameters) -> Tensor:
        """The background ``[3, size, size]``, linear RGB, with everything that the subject does to it."""
        return background

    def finish(self, rgb: Tensor, buffers: Buffers, p: Parameters) -> Tensor:
        """The picture ``[3, size, size]`` with everything that is drawn over it at the end."""
        return rgb


class Person(Kind):
    """Photographic people."""

    def parameters(self, f: Factors) -> Parameters:
        return person_parameters(f, cartoon=False)

    def order(self, p: Parameters) -> tuple[Any, ...]:
        return (*person_dressing(p), p.glasses, p.earrings, p.necklace)

    def scene(self, samples: Sequence[Parameters]) -> Scene:
        return PersonScene(samples)

    def lights(self, p: Parameters, f: Factors) -> Lights:
        return lights(p, f, sum(p.skin_colour) / 3)

    def paint(self, hits: Hits, p: Parameters, light: Lights) -> Painted:
        surface = person_surface(hits, p, light)
        shader = shade_cartoon if p.cartoon else shade_skin_and_hair
        rgb = shader(surface, angles(hits.normal, hits.ray, light), hits.shadow, hits.occlusion, light)
        if p.glasses:
            rgb = add_lenses(rgb, surface.label, hits, p)
        return Painted(rgb, surface.label, surface.strands)


class Toon(Person):
    """Cartoon twins: larger eyes, smaller noses, flat light and dark outlines."""

    def parameters(self, f: Factors) -> Parameters:
        return person_parameters(f, cartoon=True)

    def finish(self, rgb: Tensor, buffers: Buffers, p: Parameters) -> Tensor:
        return ink_outlines(rgb, buffers.depth, buffers.normal, buffers.label)


class Cat(Kind):
    """Cats in the person's pose, mood and light."""

    def parameters(self, f: Factors) -> Parameters:
        return cat_parameters(f)

    def order(self, p: Parameters) -> tuple[Any, ...]:
        return (p.collar,)

    def scene(self, samples: Sequence[Parameters]) -> Scene:
        return CatScene(samples)

    def lights(self, p: Parameters, f: Factors) -> Lights:
        return lights(p, f, p.fur_mean)

    def paint(self, hits: Hits, p: Parameters, light: Lights) -> Painted:
        surface = cat_surface(hits, p, light)
        rgb = shade_fur(surface, angles(hits.normal, hits.ray, light), hits.shadow, hits.occlusion, light)
        return Painted(rgb, surface.label, torch.zeros_like(surface.strands))  # fur is too fine to be drawn

    def finish(self, rgb: Tensor, buffers: Buffers, p: Parameters) -> Tensor:
        return add_whiskers(rgb, p)


class Car(Kind):
    """Toy cars that turn as the head does, with the front or the rear towards the viewer."""

    def parameters(self, f: Factors) -> Parameters:
        return car_parameters(f)

    def scene(self, samples: Sequence[Parameters]) -> Scene:
        return CarScene(samples)

    def lights(self, p: Parameters, f: Factors) -> Lights:
        return lights(p, f, sum(p.paint) / 3)

    def paint(self, hits: Hits, p: Parameters, light: Lights) -> Painted:
        surface = car_surface(hits, p)
        rgb = shade_skin_and_hair(surface, angles(hits.normal, hits.ray, light), hits.shadow, hits.occlusion, light)
        return Painted(rgb, surface.label, surface.strands)

    def behind(self, background: Tensor, p: Parameters) -> Tensor:
        return background * ground_shadow(p, background.shape[-1])


class CarFront(Car):
    """The same cars, which always show their front, as faces do."""

    def parameters(self, f: Factors) -> Parameters:
        return car_parameters({**f, "car_rear": 0})


KINDS: dict[str, Kind] = {
    "person": Person(), "toon": Toon(), "cat": Cat(), "car": Car(), "car_front": CarFront(),
}  # fmt: skip

"""A scene: the bodies of a number of samples as distance functions, evaluated together.

Points come as ``[blocks, LANES]``, every block of one sample; see :class:`Layout`. A scene consists of layers: the
first holds what every sample has, the others what only some have (a hair style, glasses). Their functions are recorded
once per process (``recording``) and run on some thousand points at a time, of as many samples as it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .accessories import beanie_distance, cap_distance, glasses_distance
from .hair import hair_distance
from .head import body_distances, ear_distance, head_distances, necklace_distance
from .parameters import Parameters
from .recording import Program, record
from .shapes import smooth_intersection, smooth_union, sphere

LANES = 32
BLOCKS = 512  # evaluated in one go: more fall out of the cache, fewer wait for the calls
NOWHERE = 9.0  # distance to a body that a sample does not have

Bodies = dict[str, Any]
Points = tuple[Tensor, Tensor, Tensor]
# (p, x, y, z, parts of the layers below) -> (bodies, parts of bodies that colours, labels and other layers tell apart)
Draw = Callable[..., tuple[Bodies, Bodies]]


class Layer(NamedTuple):
    """Bodies of some samples of a scene."""

    draw: Draw
    arguments: tuple[Any, ...]  # of ``draw``, before all others
    needs: tuple[str, ...]  # parts of the first layer
    samples: list[bool]


@dataclass
class Layout:
    """Which sample each block of points belongs to, ``[blocks]``, ascending; and what a scene worked out for these."""

    sample: Tensor
    plans: dict[str, list[Any]] = field(default_factory=dict)

    def spread(self, values: Tensor) -> Tensor:
        """Values of samples as ``[blocks, 1]``."""
        return values.view(-1)[self.sample].unsqueeze(1)


class Scene:
    """Samples of one kind, as layers."""

    bodies: tuple[str, ...] = ()  # all that there are, in order
    parts: tuple[str, ...] = ()  # those of the first layer
    shrink = 1.0  # factor of distances that would be too long
    fixed: tuple[tuple[str, float], ...] = ()  # parameters that all samples share

    def __init__(self, samples: Sequence[Parameters], layers: Sequence[Layer], face: Callable[..., Any]) -> None:
        self.samples, self.layers, self._face = samples, [layer for layer in layers if any(layer.samples)], face
        self.needed = tuple(dict.fromkeys(name for layer in self.layers for name in layer.needs))
        self._prepared: dict[Program, Tensor] = {}
        self._work: list[Tensor] = []
        self._buffers: dict[int, list[Tensor]] = {}

    def distance(self, at: Callable[[slice], Points], layout: Layout) -> Tensor:
        """Distance ``[blocks, LANES]`` to the nearest body; ``at`` gives the points of a slice of the blocks."""
        result = torch.empty(layout.sample.numel(), LANES)
        kept = torch.empty(len(self.needed), BLOCKS, LANES)
        for part, steps in self._plan(layout, "distance"):
            x, y, z = at(part)
            near = result[part]
            parts = [buffer[: near.shape[0]] for buffer in kept]
            for program, where, layer, rows in steps:
                if layer is self.layers[0]:
                    self._run(program, (x, y, z), rows, (near, *parts))
                    continue
                needs = [parts[self.needed.index(name)] for name in layer.needs]
                chosen = [_take(of, where) for of in (x, y, z, near, *needs)]
                self._run(program, chosen, rows, (chosen[3],))
                if isinstance(where, Tensor):
                    near.index_copy_(0, where, chosen[3])
            if self.shrink != 1:
                near.mul_(self.shrink)
        return result

    def everything(self, at: Callable[[slice], Points], layout: Layout) -> tuple[Tensor, Bodies]:
        """Distances to all ``bodies`` ``[bodies, blocks, LANES]``, and to ``parts`` by name."""
        blocks = layout.sample.numel()
        bodies = torch.full((len(self.bodies), blocks, LANES), NOWHERE)
        parts = torch.empty(len(self.parts), blocks, LANES)
        for part, steps in self._plan(layout, "everything"):
            x, y, z = at(part)
            for program, where, layer, rows in steps:
                first = layer is self.layers[0]
                names = _whole_program(layer.draw, layer.arguments, layer.needs, self.fixed, first)[1]
                mine = [bodies[self.bodies.index(name), part] for name in names]
                if first:
                    self._run(program, (x, y, z), rows, (*mine, *parts[:, part]))
                    continue
                needs = [parts[self.parts.index(name), part] for name in layer.needs]
                out = [_take(of, where) for of in mine]
                self._run(program, [_take(of, where) for of in (x, y, z, *needs)], rows, out)
                if isinstance(where, Tensor):
                    for whole, some in zip(mine, out, strict=True):
                        whole.index_copy_(0, where, some)
        return bodies, dict(zip(self.parts, parts, strict=True))

    def face(self, at: Callable[[slice], Points], layout: Layout) -> Tensor:
        """Distance ``[blocks, LANES]`` to the bare face with its eyes, for finding landmarks."""
        result = torch.empty(layout.sample.numel(), LANES)
        for part, ((program, _, _, rows),) in self._plan(layout, "face"):
            self._run(program, at(part), rows, (result[part],))
        return result

    def _plan(self, layout: Layout, what: str) -> list[tuple[slice, list[Any]]]:
        """(blocks, [(program, which of them, its layer, its parameters)]) for all blocks."""
        if what not in layout.plans:
            layout.plans[what] = [
                (slice(first, first + BLOCKS), self._steps(layout.sample[first : first + BLOCKS], what))
                for first in range(0, layout.sample.numel(), BLOCKS)
            ]
        return layout.plans[what]

    def _steps(self, sample: Tensor, what: str) -> list[Any]:
        if what == "face":
            program = _face_program(self._face, self.fixed)
            return [(program, slice(None), self.layers[0], self._rows(program, sample))]
        steps: list[Any] = []
        runs = _runs(sample.tolist())
        for number, layer in enumerate(self.layers):
            where = _which([run for run in runs if layer.samples[run[0]]])
            if where is None:
                continue
            if what == "everything":
                program = _whole_program(layer.draw, layer.arguments, layer.needs, self.fixed, number == 0)[0]
            elif number == 0:
                program = _first_program(layer.draw, layer.arguments, self.fixed, self.needed)
            else:
                program = _nearer_program(layer.draw, layer.arguments, layer.needs, self.fixed)
            steps.append((program, where, layer, self._rows(program, sample[where])))
        return steps

    def _rows(self, program: Program, sample: Tensor) -> Sequence[Tensor]:
        """The program's parameters, for blocks of the samples given."""
        if program not in self._prepared:
            self._prepared[program] = program.prepare(self.samples)
        values = self._prepared[program]
        if int(sample[0]) == int(sample[-1]):
            return values[:, sample[:1], None].unbind(0)
        return values.index_select(1, sample).unsqueeze(2).unbind(0)

    def _run(
        self, program: Program, inputs: Sequence[Tensor], rows: Sequence[Tensor], outputs: Sequence[Tensor]
    ) -> None:
        blocks = inputs[0].shape[0]
        while len(self._work) < program.registers:
            self._work.append(torch.empty(BLOCKS, LANES))
            self._buffers.clear()
        if blocks not in self._buffers:
            self._buffers[blocks] = [buffer[:blocks] for buffer in self._work]
        program.run(inputs, rows, outputs, self._buffers[blocks][: program.registers])


def _take(of: Tensor, where: slice | Tensor) -> Tensor:
    return of[where] if isinstance(where, slice) else of.index_select(0, where)


def _runs(sample: Sequence[int]) -> list[tuple[int, int, int]]:
    """(sample, its first block, the one after its last)."""
    runs, first = [], 0
    for number, blocks in groupby(sample):
        last = first + len(list(blocks))
        runs.append((number, first, last))
        first = last
    return runs


def _which(runs: Sequence[tuple[int, int, int]]) -> slice | Tensor | None:
    """The blocks of some runs: as a slice, where they stand together, or else their numbers; None without any."""
    if not runs:
        return None
    if sum(last - first for _, first, last in runs) == runs[-1][2] - runs[0][1]:
        return slice(runs[0][1], runs[-1][2])
    return torch.cat([torch.arange(first, last) for _, first, last in runs])


Fixed = tuple[tuple[str, float], ...]


@cache
def _first_program(draw: Draw, arguments: tuple[Any, ...], fixed: Fixed, needed: tuple[str, ...]) -> Program:
    def near(p: Any, x: Any, y: Any, z: Any) -> list[Any]:
        bodies, parts = draw(*arguments, p, x, y, z)
        return [nearest(bodies), *(parts[name] for name in needed)]

    return record(near, ("x", "y", "z"), dict(fixed))


@cache
def _nearer_program(draw: Draw, arguments: tuple[Any, ...], needs: tuple[str, ...], fixed: Fixed) -> Program:
    def near(p: Any, x: Any, y: Any, z: Any, so_far: Any, *parts: Any) -> list[Any]:
        bodies, _ = draw(*arguments, p, x, y, z, *parts)
        return [nearest({"": so_far, **bodies})]

    return record(near, ("x", "y", "z", "so_far", *needs), dict(fixed))


@cache
def _whole_program(
    draw: Draw, arguments: tuple[Any, ...], needs: tuple[str, ...], fixed: Fixed, with_parts: bool
) -> tuple[Program, list[str]]:
    """The program that gives all bodies, and their names."""
    names: list[str] = []

    def whole(p: Any, x: Any, y: Any, z: Any, *given: Any) -> list[Any]:
        bodies, parts = draw(*arguments, p, x, y, z, *given)
        names.extend(bodies)
        return [*bodies.values(), *(parts.values() if with_parts else ())]

    return record(whole, ("x", "y", "z", *needs), dict(fixed)), names


@cache
def _face_program(face: Callable[..., Any], fixed: Fixed) -> Program:
    return record(lambda *given: [face(*given)], ("x", "y", "z"), dict(fixed))


def nearest(bodies: Bodies) -> Any:
    distances = iter(bodies.values())
    result = next(distances)
    for distance in distances:
        result = result.minimum(distance)
    return result


class PersonScene(Scene):
    """People, or their cartoon twins."""

    bodies = ("skin", "eyes", "teeth", "tongue", "clothes", "hat", "hair", "glasses", "earrings", "necklace")
    parts = ("head", "ears", "neck", "skull")

    def __init__(self, samples: Sequence[Parameters]) -> None:
        self.fixed = (("socket_bump", samples[0].socket_bump),)
        layers = [Layer(_person, (), (), [True] * len(samples))]
        for dressing in dict.fromkeys(person_dressing(p) for p in samples):
            if dressing != ("bald", ""):
                wearers = [person_dressing(p) == dressing for p in samples]
                layers.append(Layer(_hair_and_hat, dressing, ("skull",), wearers))
        layers.append(Layer(_glasses, (), (), [p.glasses for p in samples]))
        layers.append(Layer(_earrings, (), (), [p.earrings for p in samples]))
        layers.append(Layer(_necklace, (), ("neck",), [p.necklace for p in samples]))
        super().__init__(samples, layers, _person_face)


def person_dressing(p: Parameters) -> tuple[str, str]:
    """(hair style, hat): the samples of a scene are best sorted by it."""
    return p.hair_style, "" if not p.hat else "beanie" if p.beanie else "cap"


def _person(p: Parameters, x: Tensor, y: Tensor, z: Tensor) -> tuple[Bodies, Bodies]:
    head = head_distances(x, y, z, p)
    neck, clothes = body_distances(x, y, z, p)
    ears = ear_distance(x, y, z, p)
    skin = smooth_union(smooth_union(head.skin, neck, 0.10), ears, 0.05)
    bodies = {"skin": skin, "eyes": head.eyes, "teeth": head.teeth, "tongue": head.tongue, "clothes": clothes}
    return bodies, {"head": head.skin, "ears": ears, "neck": neck, "skull": head.skull}


def _person_face(p: Parameters, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    head = head_distances(x, y, z, p)
    return head.skin.minimum(head.eyes)


def _hair_and_hat(
    style: str, hat: str, p: Parameters, x: Tensor, y: Tensor, z: Tensor, skull: Tensor
) -> tuple[Bodies, Bodies]:
    bodies: Bodies = {}
    hair = hair_distance(style, x, y, z, skull, p)
    if hat:
        bodies["hat"] = (beanie_distance if hat == "beanie" else cap_distance)(x, y, z, p)
        if hair is not None:  # the hat presses the hair down
            hair = smooth_intersection(hair, y - 0.52, 0.03)
    if hair is not None:
        bodies["hair"] = hair
    return bodies, {}


def _glasses(p: Parameters, x: Tensor, y: Tensor, z: Tensor) -> tuple[Bodies, Bodies]:
    return {"glasses": glasses_distance(x, y, z, p)}, {}


def _earrings(p: Parameters, x: Tensor, y: Tensor, z: Tensor) -> tuple[Bodies, Bodies]:
    return {"earrings": sphere(x.abs() - p.ear_x - 0.06, y + 0.08 + 0.27 * p.ear_size, z + 0.13, 0.045)}, {}


def _necklace(p: Parameters, x: Tensor, y: Tensor, z: Tensor, neck: Tensor) -> tuple[Bodies, Bodies]:
    return {"necklace": necklace_distance(x, y, z, neck, p)}, {}

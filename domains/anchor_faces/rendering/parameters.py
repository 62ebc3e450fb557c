"""Parameters: the sizes, positions, directions and colours that follow from the factors.

Each sample's parameters are computed with plain floats (exactly reproducible, and fast for a few hundred
numbers); ``stack`` turns the parameters of several samples into tensors for the distance functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace

import torch

Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]


class Parameters(SimpleNamespace):
    """A bag of named parameters: floats, vectors, matrices, names; or, stacked, tensors (see ``stack``)."""


def stack(samples: Sequence[Parameters], names: Sequence[str]) -> Parameters:
    """Stack the named parameters: a float becomes ``[samples, 1]``, a vector ``[3, samples, 1]``."""
    stacked = Parameters()
    for name in names:
        values = torch.tensor([getattr(sample, name) for sample in samples], dtype=torch.float32)
        setattr(
            stacked, name, values.view(-1, 1) if values.dim() == 1 else values.t().unsqueeze(-1).contiguous()
        )
    return stacked


def clamp(value: float, low: float = -math.inf, high: float = math.inf) -> float:
    return min(max(value, low), high)


def rotation(yaw: float, pitch: float, roll: float) -> Matrix:
    """Head to world: pitch, yaw, then roll, in degrees; yaw above 0 turns the face to the image's right."""
    (sy, cy), (sp, cp), (sr, cr) = ((math.sin(a), math.cos(a)) for a in map(math.radians, (yaw, pitch, roll)))
    about_y: Matrix = ((cy, 0.0, sy), (0.0, 1.0, 0.0), (-sy, 0.0, cy))
    about_x: Matrix = ((1.0, 0.0, 0.0), (0.0, cp, -sp), (0.0, sp, cp))
    about_z: Matrix = ((cr, -sr, 0.0), (sr, cr, 0.0), (0.0, 0.0, 1.0))
    return product(product(about_z, about_y), about_x)


def product(first: Matrix, second: Matrix) -> Matrix:
    rows = [tuple(sum(a * second[k][j] for k, a in enumerate(row)) for j in range(3)) for row in first]
    return (rows[0], rows[1], rows[2])  # type: ignore[return-value]


def transpose(matrix: Matrix) -> Matrix:
    columns = list(zip(*matrix, strict=True))
    return (columns[0], columns[1], columns[2])


def apply(matrix: Matrix, vector: Vector) -> Vector:
    values = [row[0] * vector[0] + row[1] * vector[1] + row[2] * vector[2] for row in matrix]
    return (values[0], values[1], values[2])


def unit(vector: Vector) -> Vector:
    norm = math.sqrt(sum(v * v for v in vector))
    return (vector[0] / norm, vector[1] / norm, vector[2] / norm)

"""From factors to the sizes, position and colours of a toy car.

The car's own frame has y up and z from its middle to the end that one sees, whichever it is: the shape of a car is the
same from both ends, so that ``rear`` changes nothing but what is drawn on it.
"""

from __future__ import annotations

from .camera import aim_camera
from .colours import CAR_COLOURS
from .factors import Factors
from .parameters import Parameters, product, rotation

GROUND = -0.62  # height of the ground, in head units
ELEVATION = 17.0  # degrees that the camera stands above the ground, for a head that is neither raised nor lowered
SIZE, NEARER = 1.10, 1.10  # of a car, and of its picture
WHITE, BLACK = CAR_COLOURS[8], CAR_COLOURS[10]

# The three bodies: half width and half length; half length of the cabin below and above; its height.
BODIES: dict[str, tuple[float, ...]] = {
    "saloon": (0.52, 0.99, 0.66, 0.34, 0.42),
    "hatchback": (0.51, 0.86, 0.72, 0.46, 0.48),
    "van": (0.53, 0.95, 0.92, 0.76, 0.62),
}


def heading(f: Factors) -> float:
    """Where the car's nose points: degrees above -180 and up to 180, 0 to the viewer, 90 to the image's right."""
    turned: float = f["yaw"] + (180.0 if f["car_rear"] else 0.0)
    return turned - 360.0 if turned > 180.0 else turned


def car_parameters(f: Factors) -> Parameters:
    """All parameters of one car. It turns and tilts as the head does, and is seen from above where that is lowered."""
    p = Parameters(kind="car", hair_style="")
    about_itself = rotation(f["yaw"], 0.0, 0.0)
    p.rotation = product(rotation(0.0, ELEVATION + 0.6 * f["pitch"], f["roll"]), about_itself)
    aim_camera(p, f["camera_x"], f["camera_y"], NEARER * f["zoom"])
    _shape(p, f)
    _colours(p, f)
    return p


def _shape(p: Parameters, f: Factors) -> None:
    p.body = "saloon" if f["car_body"] < 0.4 else "hatchback" if f["car_body"] < 0.7 else "van"
    half_width, half_length, cabin_below, cabin_above, cabin_height = (SIZE * value for value in BODIES[p.body])
    p.half_width, p.half_length = half_width, half_length * f["car_length"]
    p.cabin_length, p.cabin_height = cabin_below * f["car_length"], cabin_height * f["car_height"]
    p.cabin_width = half_width - 0.045
    p.cabin_slope = (cabin_below - cabin_above) * f["car_length"] / p.cabin_height
    p.cabin_lean = 0.10 / p.cabin_height
    p.wheel_radius, p.wheel_width = 0.225, 0.10
    p.wheel_x, p.wheel_y, p.wheel_z = half_width - 0.09, GROUND + p.wheel_radius, p.half_length - 0.40
    p.hull_y, p.hull_half = GROUND + 0.37, 0.23
    p.belt_y = p.hull_y + p.hull_half - 0.03  # where the windows begin
    p.bumper_y = GROUND + 0.225
    p.rear = bool(f["car_rear"])


def _colours(p: Parameters, f: Factors) -> None:
    p.paint = p.roof = CAR_COLOURS[min(int(f["car_colour"] * len(CAR_COLOURS)), len(CAR_COLOURS) - 1)]
    if f["car_roof"] >= 0.65:
        p.roof = WHITE if p.paint != WHITE else BLACK
    p.wheels = "discs" if f["car_wheels"] < 0.4 else "spokes" if f["car_wheels"] < 0.7 else "white walls"

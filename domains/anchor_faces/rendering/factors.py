"""The factors: everything that varies between two pictures, in one table.

A factor has a name, a distribution and a meaning. ``sample_factors(seed, index)`` draws one value of each,
in the order of the table. Every (seed, index) has its own generator, so a sample never depends on its
neighbours. People, their cartoon twins and cats share pose, expression, light, camera and background, toy cars
all of these but the expression; each kind ignores the factors that it cannot use (a cat has no beard).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from anchor_hub.errors import UsageError

Factors = dict[str, Any]

HAIR_STYLES = (
    "bald", "buzz", "short", "quiff", "bob", "fringe", "long", "long_fringe", "curly", "afro", "bun",
    "ponytail", "side_swept",
)  # fmt: skip
FEMININE_HAIR = (0.01, 0.01, 0.06, 0.04, 0.16, 0.13, 0.18, 0.12, 0.10, 0.04, 0.09, 0.09, 0.03)
MASCULINE_HAIR = (0.09, 0.13, 0.30, 0.17, 0.01, 0.02, 0.02, 0.01, 0.09, 0.07, 0.01, 0.01, 0.16)


class Distribution(Protocol):
    """How one factor is drawn; ``drawn`` holds the factors that come earlier in the table."""

    def sample(self, random: np.random.Generator, drawn: Factors) -> Any: ...


@dataclass(frozen=True)
class Uniform:
    low: float = 0.0
    high: float = 1.0

    def sample(self, random: np.random.Generator, drawn: Factors) -> float:
        return self.low + (self.high - self.low) * random.random()

    def __str__(self) -> str:
        return f"uniform {self.low:g} … {self.high:g}"


@dataclass(frozen=True)
class Normal:
    """Normal, cut at ``limit`` deviations, shifted on feminine or masculine faces, kept in [low, high]."""

    mean: float
    deviation: float
    limit: float = 2.0
    feminine: float = 0.0
    masculine: float = 0.0
    low: float = -1e9
    high: float = 1e9

    def sample(self, random: np.random.Generator, drawn: Factors) -> float:
        value = self.mean + self.deviation * min(max(random.standard_normal(), -self.limit), self.limit)
        value += self.feminine if drawn["feminine"] else self.masculine
        return min(max(value, self.low), self.high)

    def __str__(self) -> str:
        text = f"normal {self.mean:g} ± {self.deviation:g}, cut at {self.limit:g} deviations"
        for name in ("feminine", "masculine"):
            if getattr(self, name):
                text += f", {getattr(self, name):+g} if {name}"
        if self.low > -1e9:
            text += f", at least {self.low:g}"
        if self.high < 1e9:
            text += f", at most {self.high:g}"
        return text


@dataclass(frozen=True)
class Flag:
    """1 with the given probability, else 0; ``only`` restricts it to feminine or masculine faces."""

    probability: float
    only: str = ""

    def sample(self, random: np.random.Generator, drawn: Factors) -> int:
        hit = random.random() < self.probability
        return int(hit and _applies(self.only, drawn))

    def __str__(self) -> str:
        return f"1 with probability {self.probability:g}, else 0" + (
            f" ({self.only} only)" if self.only else ""
        )


@dataclass(frozen=True)
class Sometimes:
    """A strength drawn uniformly with the given probability, else 0."""

    probability: float
    low: float
    high: float = 1.0
    only: str = ""

    def sample(self, random: np.random.Generator, drawn: Factors) -> float:
        hit = random.random() < self.probability
        strength = self.low + (self.high - self.low) * random.random()
        return strength if hit and _applies(self.only, drawn) else 0.0

    def __str__(self) -> str:
        text = f"0, or with probability {self.probability:g} uniform {self.low:g} … {self.high:g}"
        return text + (f" ({self.only} only)" if self.only else "")


@dataclass(frozen=True)
class LikeOtherEye:
    """The value of the other eye in 80 % of the samples, so that blinks are common and winks are rare."""

    other: str
    closed: float

    def sample(self, random: np.random.Generator, drawn: Factors) -> int:
        same, own = random.random() < 0.8, int(random.random() >= self.closed)
        return drawn[self.other] if same else own

    def __str__(self) -> str:
        return f"{self.other} in 80 %, else 0 with probability {self.closed:g}"


@dataclass(frozen=True)
class Side:
    """-1 or 1, evenly."""

    def sample(self, random: np.random.Generator, drawn: Factors) -> int:
        return 1 if random.random() < 0.5 else -1

    def __str__(self) -> str:
        return "-1 or 1"


@dataclass(frozen=True)
class HairStyle:
    """A name of ``HAIR_STYLES``; long styles are likelier on feminine faces, short ones on masculine ones."""

    unusual: float = 0.12

    def sample(self, random: np.random.Generator, drawn: Factors) -> str:
        feminine = bool(drawn["feminine"]) != (random.random() < self.unusual)
        weights = np.cumsum(FEMININE_HAIR if feminine else MASCULINE_HAIR)
        position = int(np.searchsorted(weights / weights[-1], random.random(), side="right"))
        return HAIR_STYLES[min(position, len(HAIR_STYLES) - 1)]

    def __str__(self) -> str:
        return "one of " + ", ".join(HAIR_STYLES)


def _applies(only: str, drawn: Factors) -> bool:
    return only == "" or (only == "feminine") == bool(drawn["feminine"])


@dataclass(frozen=True)
class Factor:
    name: str
    distribution: Distribution
    meaning: str


FACTOR_TABLE: tuple[Factor, ...] = (
    Factor("feminine", Flag(0.5), "1: shape, hair and make-up lean feminine; 0: masculine"),
    # shape of the head
    Factor("head_width", Normal(1, 0.055), "width of the skull, 1 is average"),
    Factor("head_height", Normal(1, 0.035), "height of the skull, 1 is average"),
    Factor("jaw_width", Normal(1, 0.10, masculine=0.07), "width of the jaw, 1 is average"),
    Factor("chin_size", Normal(1, 0.18), "size of the chin, 1 is average"),
    Factor("chin_height", Normal(0, 0.035), "chin up (+) or down (-), in head units"),
    Factor("cheek_fullness", Normal(0.5, 0.3, low=0, high=1.2), "how far the cheekbones stand out"),
    Factor("weight", Normal(0, 0.5), "thin (-) to round (+) face"),
    Factor("nose_length", Normal(1, 0.16), "length of the nose, 1 is average"),
    Factor("nose_width", Normal(1, 0.18, feminine=-0.06), "width of the nose, 1 is average"),
    Factor("nose_tip", Normal(1, 0.18), "size of the tip of the nose, 1 is average"),
    Factor("nose_lift", Normal(0, 0.03), "tip of the nose up (+) or down (-), in head units"),
    Factor("eye_size", Normal(1, 0.09, feminine=0.05), "size of the eyes, 1 is average"),
    Factor("eye_spacing", Normal(1, 0.06), "distance between the eyes, 1 is average"),
    Factor("eye_tilt", Normal(0.05, 0.06), "outer corners up (+), as a slope"),
    Factor("eye_height", Normal(0, 0.025), "eyes up (+), in head units"),
    Factor("eye_opening", Normal(1, 0.12), "how wide the lids stand open at rest, 1 is average"),
    Factor(
        "brow_thickness", Normal(1, 0.3, feminine=-0.25, low=0.35), "thickness of the eyebrows, 1 is average"
    ),
    Factor("brow_arch", Normal(0.5, 0.5), "how arched the eyebrows are"),
    Factor("brow_angle", Normal(0, 0.06), "outer ends up (+), as a slope"),
    Factor("brow_height", Normal(0, 0.02), "eyebrows up (+), in head units"),
    Factor("upper_lip", Normal(1, 0.25, 1.8, feminine=0.1), "fullness of the upper lip, 1 is average"),
    Factor("lower_lip", Normal(1, 0.22, 1.8, feminine=0.1), "fullness of the lower lip, 1 is average"),
    Factor("mouth_width", Normal(1, 0.12), "width of the mouth, 1 is average"),
    Factor("mouth_height", Normal(0, 0.025), "mouth up (+), in head units"),
    Factor("ear_size", Normal(1, 0.14), "size of the ears, 1 is average"),
    Factor("ear_angle", Normal(1, 0.3, low=0.4), "how far the ears stand out, 1 is average"),
    # skin
    Factor("skin_tone", Uniform(), "0 lightest, 1 darkest"),
    Factor("skin_hue", Normal(0, 0.5), "cool (-) to warm (+) skin"),
    Factor("blush", Uniform(), "redness of cheeks and nose"),
    Factor("freckles", Sometimes(0.15, 0.3), "strength of freckles"),
    Factor("makeup", Sometimes(0.45, 0.4, only="feminine"), "strength of lipstick and eye shadow"),
    # hair
    Factor("hair_style", HairStyle(), "name of the hair style"),
    Factor("hair_colour", Uniform(), "black, browns, blond, red, gray, then dyed, from 0 to 1"),
    Factor("hair_volume", Normal(1, 0.22, low=0.55), "volume of the hair, 1 is average"),
    Factor("hair_length", Uniform(), "length within the style"),
    Factor("hair_phase", Uniform(0, 40), "position of strands and curls"),
    Factor("hair_parting", Normal(0, 1, 1.5), "parting to the subject's right (-) or left (+)"),
    Factor("hairline", Normal(0, 0.05), "height of the hairline, in head units"),
    Factor("beard", Sometimes(0.38, 0.25, only="masculine"), "strength of a full beard"),
    Factor("stubble", Sometimes(0.30, 0.2, 0.7, only="masculine"), "strength of stubble"),
    Factor("moustache", Sometimes(0.28, 0.4, only="masculine"), "strength of a moustache"),
    # accessories
    Factor("glasses", Flag(0.22), "1: wears glasses"),
    Factor("glasses_shape", Uniform(), "below 0.45 round, above it rectangular"),
    Factor("glasses_size", Normal(1, 0.08), "size of the lenses, 1 is average"),
    Factor("glasses_colour", Uniform(), "below 0.6 black frames, above it coloured"),
    Factor("sunglasses", Flag(0.15), "1: dark lenses (seen where glasses is 1)"),
    Factor("hat", Flag(0.07), "1: wears a hat"),
    Factor("hat_shape", Uniform(), "below 0.55 a beanie, above it a cap"),
    Factor("earrings", Flag(0.3, only="feminine"), "1: wears earrings"),
    Factor("necklace", Flag(0.2, only="feminine"), "1: wears a necklace (a cat: a collar)"),
    # expression
    Factor("smile", Normal(0.38, 0.50, 1.7, low=-0.5, high=1.15), "corners of the mouth down (-) or up (+)"),
    Factor("mouth_open", Sometimes(0.42, 0.12), "0 closed, 1 wide open"),
    Factor("brow_raise", Normal(0, 0.5), "eyebrows lowered (-) or raised (+)"),
    Factor("frown", Sometimes(0.15, 0.3), "inner ends of the eyebrows drawn together"),
    Factor("left_eye_open", Flag(0.94), "1: the subject's left eye is open"),
    Factor("right_eye_open", LikeOtherEye("left_eye_open", 0.10), "1: the subject's right eye is open"),
    Factor("squint", Normal(0, 0.08), "lids drawn together (+)"),
    Factor("gaze_x", Normal(0, 0.14), "looks to the image's left (-) or right (+), as a slope"),
    Factor("gaze_y", Normal(0, 0.07), "looks down (-) or up (+), as a slope"),
    # pose and camera
    Factor("yaw", Normal(0, 16, 2.2), "head turned to the image's left (-) or right (+), degrees"),
    Factor("pitch", Normal(0, 7), "head raised (-) or lowered (+), degrees"),
    Factor("roll", Normal(0, 3.5), "head tilted counter-clockwise in the image (+), degrees"),
    Factor("camera_x", Normal(0, 0.025), "camera moved to the right (+), in head units"),
    Factor("camera_y", Normal(0, 0.025), "camera moved up (+), in head units"),
    Factor("zoom", Normal(1, 0.025), "magnification, 1 is average"),
    # light
    Factor("light_azimuth", Normal(0, 38, 1.8), "main light from the image's left (-) or right (+), degrees"),
    Factor("light_elevation", Uniform(12, 60), "height of the main light, degrees"),
    Factor("light_warmth", Normal(0.15, 0.55), "bluish (-) to yellowish (+) main light"),
    Factor("light_sharpness", Uniform(2.5, 6), "soft (low) to hard (high) shadows"),
    Factor("light_intensity", Normal(1, 0.12), "brightness of the main light, 1 is average"),
    Factor("ambient_light", Normal(1, 0.18, low=0.5), "brightness of the surroundings, 1 is average"),
    Factor("rim_light", Uniform(), "brightness of the light from behind"),
    Factor("rim_side", Side(), "side of the light from behind: image's left (-1) or right (1)"),
    # clothes and background
    Factor("clothes_cut", Uniform(), "below 0.18 high collar, below 0.45 V-neck, above it round neck"),
    Factor("clothes_hue", Uniform(), "hue of the clothes"),
    Factor("clothes_saturation", Uniform(0.1, 0.75), "saturation of the clothes"),
    Factor("clothes_brightness", Uniform(0.15, 0.9), "brightness of the clothes"),
    Factor("clothes_pattern", Uniform(), "below 0.25 stripes, 0.40 dots, 0.5 checks, above it plain"),
    Factor("neckline", Uniform(), "depth of a round neckline"),
    Factor("iris_colour", Uniform(), "brown, green, blue, gray from 0 to 1"),
    Factor("background_hue", Uniform(), "hue of the background"),
    Factor("background_saturation", Uniform(0.05, 0.6), "saturation of the background"),
    Factor("background_brightness", Uniform(0.15, 0.9), "brightness of the background"),
    Factor(
        "background_kind", Uniform(), "below 0.3 plain gradient, 0.65 discs out of focus, above it panels"
    ),
    Factor("background_phase", Uniform(0, 1e6), "arrangement of the background"),
    # cats only
    Factor(
        "fur_pattern", Uniform(), "below 0.38 tabby, 0.58 tuxedo, 0.72 points, 0.86 patches, above it plain"
    ),
    Factor("fur_colour", Uniform(), "white, cream, orange, brown, gray, black from 0 to 1"),
    Factor("fur_second_colour", Uniform(), "below 0.7 the second colour is white"),
    Factor("cat_ear_size", Normal(1, 0.12), "size of a cat's ears, 1 is average"),
    # toy cars only; a factor added at the end leaves all others as they were
    Factor("car_rear", Flag(0.5), "1: the car shows its rear, 0: its front"),
    Factor("car_body", Uniform(), "below 0.4 saloon, 0.7 hatchback, above it van"),
    Factor("car_length", Normal(1, 0.05), "length of the car, 1 is average"),
    Factor("car_height", Normal(1, 0.05), "height of the cabin, 1 is average"),
    Factor("car_colour", Uniform(), "red, orange, yellow, greens, blues, white, silver, black from 0 to 1"),
    Factor("car_roof", Uniform(), "below 0.65 the colour of the body, above it another"),
    Factor("car_wheels", Uniform(), "below 0.4 discs, 0.7 spokes, above it white walls"),
)

FACTOR_NAMES = tuple(factor.name for factor in FACTOR_TABLE)


def sample_factors(seed: int, index: int) -> Factors:
    """Draw the factors of sample ``index`` of data set ``seed``: ``{name: int | float | str}`` in the table's order.

    The same (seed, index) always gives the same factors. Both must be at least 0, otherwise ValueError is raised.
    """
    if seed < 0 or index < 0:
        raise UsageError(f"seed and index must be at least 0, got seed {seed} and index {index}")
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, index])))
    drawn: Factors = {}
    for factor in FACTOR_TABLE:
        drawn[factor.name] = factor.distribution.sample(random, drawn)
    return drawn


def factor_table_markdown() -> str:
    """The factor table as a Markdown table: name, distribution, meaning."""
    rows = ["| factor | distribution | meaning |", "|---|---|---|"]
    rows += [f"| `{factor.name}` | {factor.distribution} | {factor.meaning} |" for factor in FACTOR_TABLE]
    return "\n".join(rows)

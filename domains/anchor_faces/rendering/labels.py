"""The 19 classes of the label maps, in CelebAMask-HQ's order, with its colour table.

``l_`` and ``r_`` are the subject's own left and right: in a frontal picture ``l_eye`` lies on the image's
right side. (``l_lip`` is the lower lip and ``ear_r`` an earring: CelebAMask-HQ's names.)
"""

from __future__ import annotations

CLASS_NAMES = (
    "background", "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear",
    "mouth", "u_lip", "l_lip", "hair", "hat", "ear_r", "neck_l", "neck", "cloth",
)  # fmt: skip

CLASS_COLOURS = (
    (0, 0, 0), (204, 0, 0), (76, 153, 0), (204, 204, 0), (51, 51, 255), (204, 0, 204), (0, 255, 255),
    (255, 204, 204), (102, 51, 0), (255, 0, 0), (102, 204, 0), (255, 255, 0), (0, 0, 153), (0, 0, 204),
    (255, 51, 153), (0, 204, 204), (0, 51, 0), (255, 153, 51), (0, 204, 0),
)  # fmt: skip

# The classes of the label maps of cars. They are the same on front and rear: shape alone does not tell these apart.
CAR_CLASS_NAMES = ("background", "body", "window", "wheel", "bumper")
CAR_BODY, CAR_WINDOW, CAR_WHEEL, CAR_BUMPER = range(1, 5)

(
    BACKGROUND, SKIN, NOSE, GLASSES, LEFT_EYE, RIGHT_EYE, LEFT_BROW, RIGHT_BROW, LEFT_EAR, RIGHT_EAR,
    MOUTH, UPPER_LIP, LOWER_LIP, HAIR, HAT, EARRING, NECKLACE, NECK, CLOTH,
) = range(19)  # fmt: skip

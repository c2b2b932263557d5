"""The views of a test image that a net is shown: sections 3.4, "In testing", and 4.1. Pillow and NumPy only.

    SingleView(224)                  the centre of the image: 1-crop
    TenCrop(224)                     four corners and the centre, and their mirror images
    MultiScale((224, 256, ...))      the whole image at several sizes, and its mirror images

Each returns a list of uint8 arrays (height, width, 3), whose scores are averaged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from resnet_keras.data.photographs.resizing import RESAMPLE, crop, in_proportion, resized_sides
from resnet_keras.errors import InvalidValue

TEST_SIDE = 256
"""Shorter side of the image that 1-crop and 10-crop are cut from, for crops of 224."""
SCALES = (224, 256, 384, 480, 640)
"""Section 3.4: the shorter sides of multi-scale testing, for a net of 224."""
STEP = 32
"""Image pixels per pixel of an ImageNet net's last feature map; the longer side is rounded to a multiple of it."""


def scales_for(image_size: int) -> tuple[int, ...]:
    """The paper's scales in proportion to a net's own size."""
    return tuple(in_proportion(scale, image_size) for scale in SCALES)


@dataclass(frozen=True)
class SingleView:
    """1-crop: the centre square of the image whose shorter side is 256, in proportion to `size`."""

    size: int

    def __post_init__(self) -> None:
        _check_sides("The side of a view is", (self.size,))

    def of(self, image: Image.Image) -> list[np.ndarray]:
        """One array of shape (size, size, 3)."""
        width, height = resized_sides(image.size, in_proportion(TEST_SIDE, self.size))
        left, top = (width - self.size) // 2, (height - self.size) // 2
        return [np.asarray(crop(image, (width, height), left, top, self.size))]


@dataclass(frozen=True)
class TenCrop:
    """10-crop (Krizhevsky et al. 2012): corners and centre of the image whose shorter side is 256, and mirrored."""

    size: int

    def __post_init__(self) -> None:
        _check_sides("The side of a view is", (self.size,))

    def of(self, image: Image.Image) -> list[np.ndarray]:
        """Ten arrays (size, size, 3): upper left, upper right, lower left, lower right, centre; then those mirrored."""
        width, height = resized_sides(image.size, in_proportion(TEST_SIDE, self.size))
        pixels = np.asarray(image.resize((width, height), RESAMPLE))
        right, bottom = width - self.size, height - self.size
        corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
        crops = [pixels[top : top + self.size, left : left + self.size] for top, left in corners]
        return crops + [view[:, ::-1] for view in crops]


@dataclass(frozen=True)
class MultiScale:
    """The whole image at several shorter sides, each also mirrored.

    The longer side is the nearest multiple of `step` not below the shorter side, so that few shapes have to be compiled
    and batches fill up. No image is stretched by more than 7 %.
    """

    scales: tuple[int, ...] = SCALES

    def __post_init__(self) -> None:
        _check_sides("Scales are", self.scales)
        if not self.scales or len(set(self.scales)) != len(self.scales):
            raise InvalidValue(f"Scales are one or more different side lengths. Received: {self.scales}.")

    def of(self, image: Image.Image) -> list[np.ndarray]:
        """Two arrays for each scale, (height, width, 3): the image and its mirror image."""
        views = []
        for scale in self.scales:
            width, height = resized_sides(image.size, scale)
            longer = self._stepped(max(width, height), scale)
            sides = (scale, longer) if width <= height else (longer, scale)
            pixels = np.asarray(image.resize(sides, RESAMPLE))
            views += [pixels, pixels[:, ::-1]]
        return views

    @property
    def step(self) -> int:
        """Step in pixels: 32 for the paper's scales, in proportion for those of smaller nets."""
        return max(1, min(STEP, round(STEP * min(self.scales) / SCALES[0])))

    def _stepped(self, longer: int, shorter: int) -> int:
        return max(shorter, round(longer / self.step) * self.step)


Views = SingleView | TenCrop | MultiScale


def _check_sides(what: str, sides: Sequence[int]) -> None:
    wrong = [side for side in sides if not 1 <= side <= 4096]
    if wrong:
        raise InvalidValue(f"{what} 1 to 4096 pixels. Received: {', '.join(map(str, wrong))}.")

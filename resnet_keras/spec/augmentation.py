"""How training images are augmented: padded crops of small images (section 4.2), scaled crops of photographs (3.4)."""

import math
from dataclasses import dataclass

from resnet_keras.errors import InvalidValue
from resnet_keras.spec.checks import is_count


@dataclass(frozen=True)
class PaddedCrop:
    """Section 4.2, for small images: padding, a random crop of the original size, random mirroring.

    Attributes:
        pad: black pixels added on each side; 0 means no cropping.
        flip: whether half of the images are mirrored.
    """

    pad: int = 4
    flip: bool = True

    def __post_init__(self) -> None:
        if not is_count(self.pad) or self.pad < 0:
            raise InvalidValue(f"Padding is a whole number of pixels, 0 or more. Received: pad={self.pad!r}.")


@dataclass(frozen=True)
class ScaledCrop:
    """Section 3.4, for photographs: resizing to a random size, a random crop, random mirroring and a colour shift.

    Attributes:
        shorter_side: its range in resized photographs, in pixels, for crops of 224; in proportion for others.
        colour: standard deviation of the shift along each principal component of RGB (Krizhevsky et al. 2012, 4.1).
    """

    shorter_side: tuple[int, int] = (256, 480)
    colour: float = 0.1

    def __post_init__(self) -> None:
        low, high = self.shorter_side
        if not (is_count(low) and is_count(high) and 224 <= low <= high <= 4096 and 0 <= self.colour < math.inf):
            raise InvalidValue(
                "A scaled crop has a shorter side from 224 to 4,096 pixels, lowest first, and a finite colour of 0 "
                f"or more. Received: {self!r}."
            )

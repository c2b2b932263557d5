"""The augmentation of ImageNet photographs (section 3.4), as a pure function of (seed, epoch, index).

The shorter side is resized to a random length in [256, 480], a 224 x 224 crop is taken from the image or its mirror
image, and "the standard color augmentation in [21]" is added. For nets of another size, all lengths are in proportion.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from resnet_keras.data.photographs.resizing import crop, in_proportion, resized_sides
from resnet_keras.spec.augmentation import ScaledCrop

PHOTOGRAPH = 2
"""Stream of random numbers, alongside `stream.ORDER` and `stream.AUGMENTATION`."""
EIGENVALUES = (0.2175, 0.0188, 0.0045)
EIGENVECTORS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
"""For ImageNet's RGB pixels on a scale of 0..1; rows are R, G, B. From fb.resnet.torch, datasets/imagenet.lua."""


@dataclass(frozen=True)
class Drawn:
    """Random draws for one image in one epoch.

    Attributes:
        shorter_side: shorter side of the resized image, in pixels.
        left, top: position of the crop, as a fraction in [0, 1) of its possible positions.
        mirrored: whether the crop is mirrored.
        alpha: (3,), coefficients of the colour shift along each principal component.
    """

    shorter_side: int
    left: float
    top: float
    mirrored: bool
    alpha: np.ndarray


def draw(augmentation: ScaledCrop, seed: int, epoch: int, index: int, image_size: int) -> Drawn:
    """Draws for image number `index` of the training set."""
    random = np.random.default_rng([PHOTOGRAPH, seed, epoch, index])
    low, high = (in_proportion(side, image_size) for side in augmentation.shorter_side)
    left, top, mirror = random.random(3).tolist()
    return Drawn(
        int(random.integers(low, high + 1)), left, top, mirror < 0.5, random.normal(0.0, augmentation.colour, 3)
    )


def colour_shift(alpha: np.ndarray) -> np.ndarray:
    """Shift added to each pixel's R, G and B, on a scale of 0..255: eigenvectors times alpha times eigenvalues."""
    return 255.0 * (np.array(EIGENVECTORS) @ (np.array(EIGENVALUES) * alpha))


def augmented(image: Image.Image, drawn: Drawn, image_size: int) -> np.ndarray:
    """Applies the drawn augmentation to an image.

    Args:
        image: RGB, at its original size.
        drawn: the draws from `draw`.
        image_size: side of the crop, in pixels.

    Returns:
        uint8 of shape (image_size, image_size, 3): rounded and clipped to 0..255 after resizing and again after the
        colour shift.
    """
    sides = resized_sides(image.size, drawn.shorter_side)
    left, top = (
        int(share * (side - image_size + 1)) for share, side in zip((drawn.left, drawn.top), sides, strict=True)
    )
    square = np.asarray(crop(image, sides, left, top, image_size))
    # Pixels are integers here, so rounding the shift rounds the sum. NumPy is slow over an axis of 3: use whole rows.
    pixels = square.reshape(image_size, -1).astype(np.int16)
    pixels += np.tile(np.rint(colour_shift(drawn.alpha)).astype(np.int16), image_size)
    shifted = np.clip(pixels, 0, 255, out=pixels).astype(np.uint8).reshape(square.shape)
    return shifted[:, ::-1] if drawn.mirrored else shifted

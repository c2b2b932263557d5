"""Resizing and cropping, as training and testing share them. Pillow and NumPy only."""

from PIL import Image

NET_SIZE = 224
"""Side of the paper's crops, in pixels. Nets for other sizes have all other lengths in proportion."""
RESAMPLE = Image.Resampling.BILINEAR
"""Pillow's, which averages over all pixels when it shrinks. torchvision's default."""


def in_proportion(length: int, image_size: int) -> int:
    """A length of the paper, which is for crops of 224 pixels, for crops of `image_size`; both in pixels."""
    return round(length * image_size / NET_SIZE)


def resized_sides(size: tuple[int, int], shorter: int) -> tuple[int, int]:
    """Width and height with the shorter side at `shorter` pixels and the aspect kept, to a pixel."""
    width, height = size
    if width <= height:
        return shorter, round(height * shorter / width)
    return round(width * shorter / height), shorter


def crop(image: Image.Image, sides: tuple[int, int], left: int, top: int, size: int) -> Image.Image:
    """A square of the resized image; only what it needs is resized.

    Args:
        image: RGB, at its own size.
        sides: width and height of the resized image.
        left: of the square in the resized image, in pixels.
        top: likewise.
        size: its side.
    """
    across, down = image.width / sides[0], image.height / sides[1]
    box = (left * across, top * down, min((left + size) * across, image.width), min((top + size) * down, image.height))
    return image.resize((size, size), RESAMPLE, box=box)

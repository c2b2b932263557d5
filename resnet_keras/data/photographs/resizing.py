"""Resizing and cropping, shared by training and testing. Pillow and NumPy only."""

from PIL import Image

NET_SIZE = 224
"""Side of the paper's crops, in pixels. For nets of other sizes, all other lengths are in proportion."""
RESAMPLE = Image.Resampling.BILINEAR
"""Pillow's filter, which averages over all pixels when it shrinks an image; torchvision's default."""


def in_proportion(length: int, image_size: int) -> int:
    """Scales a length, given by the paper for crops of 224 pixels, to crops of `image_size`; both in pixels."""
    return round(length * image_size / NET_SIZE)


def resized_sides(size: tuple[int, int], shorter: int) -> tuple[int, int]:
    """Width and height with the shorter side at `shorter` pixels and the aspect ratio kept, to the nearest pixel."""
    width, height = size
    if width <= height:
        return shorter, round(height * shorter / width)
    return round(width * shorter / height), shorter


def crop(image: Image.Image, sides: tuple[int, int], left: int, top: int, size: int) -> Image.Image:
    """A square crop of the resized image; only the part that it needs is resized.

    Args:
        image: RGB, at its original size.
        sides: width and height of the resized image.
        left: left edge of the square in the resized image, in pixels.
        top: top edge, likewise.
        size: side of the square, likewise.
    """
    across, down = image.width / sides[0], image.height / sides[1]
    box = (left * across, top * down, min((left + size) * across, image.width), min((top + size) * down, image.height))
    return image.resize((size, size), RESAMPLE, box=box)

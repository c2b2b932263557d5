"""Decoding a photograph: the bytes of an image file become RGB pixels, or a one-line error that says why not.

Orientation tags are not applied and transparency is dropped, as in the ports whose ImageNet results are compared with.
Files without a single meaning as an 8-bit RGB photograph (16 bits per channel, several frames) are rejected.
"""

import io
import re
from pathlib import Path

from PIL import Image, ImageFile, UnidentifiedImageError

from resnet_keras.errors import InputOutput

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")
"""Pillow's other readers are never tried: some start programs, and none is for photographs."""
SIDES = (8, 20_000)
"""Minimum of the shorter side and maximum of the longer side, in pixels. ImageNet's files are well within both."""
MAX_ASPECT = 16
"""Limit on longer side over shorter side: beyond it, a resized image is mostly one edge and takes gigabytes."""
MAX_PIXELS = 90_000_000
"""Pixels of one image: 270 MB decoded. Pillow's own limits are about this one, for a warning, and twice it."""
_SIXTEEN_BITS = re.compile(r"(?<!BGR);16")  # Pillow's name for a file's layout; BGR;16 is 5 + 6 + 5 bits


def read(path: Path) -> bytes:
    """Reads the bytes of a photograph's file.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputOutput(f"A photograph is a readable file. Received: {path} ({error.strerror}).") from None


def decode(data: bytes, location: str) -> Image.Image:
    """Decodes an image file.

    Args:
        data: the file's bytes.
        location: its path, for the error message.

    Returns:
        An image of mode RGB: grey is repeated, CMYK and palettes are converted, transparency is dropped, the
        orientation tag is not applied.

    Raises:
        OSError: not an image, a damaged one, or not an 8-bit RGB photograph; a one-line message with `location`.
    """
    return _decode(data, location, shrink=False)


def verify(data: bytes, location: str) -> None:
    """Reads the file to its end, as `decode` does, but decodes a JPEG at an eighth of its size, which is faster.

    Raises:
        OSError: as `decode`.
    """
    _decode(data, location, shrink=True)


def _decode(data: bytes, location: str, *, shrink: bool) -> Image.Image:
    if not data:
        raise InputOutput(f"A photograph is an image file. Received: {location}, which is empty.")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        _check(image, location)
        if shrink:
            image.draft("RGB", (1, 1))
        image.load()
        return image if image.mode == "RGB" else image.convert("RGB")
    except InputOutput:
        raise
    except UnidentifiedImageError:
        reason = f"which is not a {', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
    except Image.DecompressionBombError:
        reason = f"which has more than {MAX_PIXELS:,} pixels"
    except Exception as error:  # whatever Pillow's readers raise for damaged files
        lines = str(error).splitlines()
        reason = f"which cannot be decoded ({lines[0] if lines else type(error).__name__})"
    raise InputOutput(f"A photograph is an image file. Received: {location}, {reason}.")


def _check(image: Image.Image, location: str) -> None:
    """Checks what the file's header says, before anything is decoded."""
    short, long = sorted(image.size)
    size = f"{image.width} x {image.height} pixels"
    if short < SIDES[0] or long > SIDES[1]:
        raise InputOutput(
            f"The sides of a photograph are {SIDES[0]} to {SIDES[1]:,} pixels. Received: {location} of {size}."
        )
    if long > MAX_ASPECT * short:
        raise InputOutput(
            f"A photograph is at most {MAX_ASPECT} times as long as it is wide. Received: {location} of {size}."
        )
    if short * long > MAX_PIXELS:
        raise InputOutput(f"A photograph has at most {MAX_PIXELS:,} pixels. Received: {location} of {size}.")
    # An MPO is a camera's JPEG with a second picture after the photograph.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        raise InputOutput(f"A photograph is a single picture. Received: {location} with several frames.")
    if image.mode[0] in "IF" or (isinstance(image, ImageFile.ImageFile) and _SIXTEEN_BITS.search(str(image.tile))):
        raise InputOutput(f"A photograph has 8 bits per channel. Received: {location} with more. Convert it first.")

"""Decoded images on disk: reading CIFAR-10 from one record and one PNG per image takes half a minute, but only once.

A copy is kept beside the source, in `.resnet_keras/`, or, if that cannot be written, in the user's cache folder:
`KERAS_HOME`, else `XDG_CACHE_HOME`, else ~/.cache. It is used if the source has, byte for byte by SHA-256, the content
that was decoded. Comparing names, sizes and times would avoid reading the source, but these can stay the same when a
file is edited in place or copied with its times, and hashing CIFAR-10 takes 0.2 of 30 seconds. Any other copy (of
another source, damaged, written by another version or unreadable) is ignored. It is no error if no folder is writable.

The file holds one NumPy array after another, without pickles. It is not an `.npz`, as a zip takes twice as long to
read, and it is not memory-mapped, as the arrays would be read-only, which PyTorch warns about, and truncating the file
later would end the process.
"""

import hashlib
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from resnet_keras.data.small.images import ImageData
from resnet_keras.errors import readable

VERSION = 1
"""Counts changes to what is decoded, held out or kept; copies of another version are not read."""
MAX_BYTES = 1 << 30
"""Limit for a source and for a copy; beyond it, the source is read anew each time."""
FOLDER = ".resnet_keras"
ARRAYS = ("x_train", "y_train", "x_validation", "y_validation", "x_test", "y_test")
FIELDS = ("name", "source", "generated", "num_classes", "class_names", "warnings")
_ANYONE_WRITES = 0o222
_ABANDONED = 86_400
"""Seconds after which the leftovers of a killed process are removed."""


def cached(source: Path, files: Sequence[Path], read: Callable[[], ImageData]) -> ImageData:
    """What `read` returns, or a copy of what it returned when the source had the same content.

    Args:
        source: the file or folder; a copy is kept beside it.
        files: every file of the source that is read.
        read: reads the source; called if there is no copy.

    Raises:
        Exception: whatever `read` raises.
    """
    key = _content(files)
    if key is None:
        return read()
    places = list(_places(source))
    for place in places:
        if (data := _read(place, key)) is not None:
            return data
    data = read()
    size = sum(getattr(data, name).nbytes for name in ARRAYS)
    if size <= MAX_BYTES and _content(files) == key:  # what was read is what was hashed
        for place in places:
            with suppress(OSError):
                _write(place, data, key)
                print(f"cached for the next run: {readable(str(place))}, {size / 1e6:,.0f} MB", file=sys.stderr)
                break
    return data


def _content(files: Sequence[Path]) -> str | None:
    """SHA-256 of the files' names and contents and of the decoder's version; None if they are too large or unreadable.

    Another version of Pillow decodes a JPEG to other pixels, and a copy has to hold what reading would return.
    """
    digest = hashlib.sha256(f"{VERSION} {_pillow()}".encode())
    try:
        if sum(path.stat().st_size for path in files) > MAX_BYTES:
            return None
        for path in files:
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(json.dumps([path.name, content]).encode())
    except OSError:  # their reader reports what is wrong
        return None
    return digest.hexdigest()


def _pillow() -> str:
    try:
        return version("pillow")
    except PackageNotFoundError:
        return ""


def _places(source: Path) -> Iterator[Path]:
    source = source.absolute()
    yield source.parent / FOLDER / f"{source.name}.npy"
    named = {name: os.environ.get(name) for name in ("KERAS_HOME", "XDG_CACHE_HOME")}
    home = os.path.expanduser("~/.cache")  # noqa: PTH111  # without a home it stays as it is
    folder = next((folder for folder in (*named.values(), home) if folder and os.path.isabs(folder)), None)  # noqa: PTH117
    if folder is not None:
        known_by = hashlib.sha256(os.fsencode(source)).hexdigest()[:8]
        yield Path(folder) / "resnet_keras" / f"{source.parent.name}-{source.name}-{known_by}.npy"


def _read(path: Path, key: str) -> ImageData | None:
    """The copy, if it is intact and of that content, else None."""
    # A damaged file can make NumPy and JSON raise anything; the seal catches what they do not notice.
    with suppress(Exception), path.open("rb") as file:
        head = json.loads(_next(file).tobytes())
        if head["key"] != key:
            return None
        fields: dict[str, Any] = head["fields"]
        for name in ("class_names", "warnings"):
            fields[name] = None if fields[name] is None else tuple(fields[name])
        images: dict[str, Any] = {name: _next(file) for name in ARRAYS}
        data = ImageData(**fields, **images)
        if head["seal"] == _seal(fields, data, key):
            return data
    return None


def _next(file: BinaryIO) -> np.ndarray:
    return np.load(file, allow_pickle=False)


def _write(path: Path, data: ImageData, key: str) -> None:
    """Puts a complete copy in place.

    Raises:
        OSError: it cannot be written.
    """
    fields = {name: getattr(data, name) for name in FIELDS}
    existing = next(folder for folder in path.parents if folder.exists())
    if not existing.stat().st_mode & _ANYONE_WRITES:  # file modes would not stop root
        raise PermissionError(f"{existing} is read-only")
    head = json.dumps({"key": key, "fields": fields, "seal": _seal(fields, data, key)}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{path.name}.*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED:
                left.unlink()
    with aside(path) as new, new.open("wb") as file:
        for array in (np.frombuffer(head, np.uint8), *(getattr(data, name) for name in ARRAYS)):
            np.save(file, array, allow_pickle=False)


def _seal(fields: dict[str, Any], data: ImageData, key: str) -> str:
    shapes = [(getattr(data, name).shape, str(getattr(data, name).dtype)) for name in ARRAYS]
    return hashlib.sha256(json.dumps([key, fields, shapes, data.fingerprint]).encode()).hexdigest()


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A name beside `path` that no other process uses; the file written there is renamed to `path` at the end.

    Not `runs.storage`, which belongs to run folders and waits for the disk: here, damage from a power cut is noticed
    on reading.
    """
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield new
        new.replace(path)
    finally:
        with suppress(OSError):
            new.unlink(missing_ok=True)

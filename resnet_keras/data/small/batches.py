"""CIFAR-10 in the files of its own site, which Keras and torchvision unpack, read without running the pickles.

    cifar-10-batches-py/data_batch_1 ... 5, test_batch              a pickled dictionary each
    cifar-10-batches-bin/data_batch_1.bin ... 5.bin, test_batch.bin a label and 3,072 pixels for each image

A pickle is a program. These may name only the few objects that a NumPy array is built from, and get
stand-ins: no function of NumPy or anything else is called. An archive is read without being unpacked.
"""

import io
import pickle
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from resnet_keras.data.small.held_out import CIFAR10_VALIDATION
from resnet_keras.data.small.images import ImageData, image_data
from resnet_keras.errors import InputOutput, first_line
from resnet_keras.spec.known_data import CIFAR10_CLASSES

TRAIN, TEST = tuple(f"data_batch_{number}" for number in range(1, 6)), "test_batch"
PIXELS = 3 * 32 * 32
MAX_BYTES = 1 << 26
"""Limit for one file; the original files have 31 million."""

_Part = tuple[np.ndarray, np.ndarray]


def read(path: Path) -> ImageData:
    """Reads CIFAR-10 from such a folder or archive.

    Raises:
        OSError: files are missing, damaged or of another kind.
        ValueError: labels are out of range.
    """
    try:
        found = _in_folder(path) if path.is_dir() else _in_archive(path)
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        if isinstance(error, InputOutput):
            raise
        raise InputOutput(f"The files of CIFAR-10 are readable. Received: {path} ({error}).") from None
    missing = [name for name in (*TRAIN, TEST) if name not in found]
    if missing:
        raise InputOutput(f"CIFAR-10 has {', '.join((*TRAIN, TEST))}. Missing from {path}: {', '.join(missing)}.")
    parts = {name: _batch(found[name], name, path) for name in (*TRAIN, TEST)}
    x_train, y_train = (np.concatenate([parts[name][column] for name in TRAIN]) for column in (0, 1))
    return image_data(
        name="CIFAR-10",
        source=f"files of {path.name}",
        train=(x_train, y_train),
        test=parts[TEST],
        class_names=CIFAR10_CLASSES,
        validation=min(CIFAR10_VALIDATION, len(x_train) // 2),
    )


def files(path: Path) -> list[Path]:
    """The files that `read` opens: an archive, or those present in a folder."""
    if not path.is_dir():
        return [path]
    named = ((path / name, path / f"{name}.bin") for name in (*TRAIN, TEST))
    return [found for pair in named if (found := next(filter(Path.is_file, pair), None)) is not None]


def _in_folder(folder: Path) -> dict[str, tuple[bytes, bool]]:
    """The content of each file and whether it is binary, by file name without extension."""
    return {
        path.stem: (_bounded(path.stat().st_size, path.read_bytes, path), path.suffix == ".bin")
        for path in files(folder)
    }


def _in_archive(path: Path) -> dict[str, tuple[bytes, bool]]:
    found = {}
    with tarfile.open(path, "r:*") as archive:
        for member in archive:
            name = Path(member.name)
            if member.isfile() and name.stem in (*TRAIN, TEST) and name.suffix in ("", ".bin"):
                file = archive.extractfile(member)
                assert file is not None  # the member is a file
                found[name.stem] = (_bounded(member.size, file.read, path / name), name.suffix == ".bin")
    return found


def _bounded(size: int, content: Callable[[], bytes], path: Path) -> bytes:
    if size > MAX_BYTES:
        raise InputOutput(f"A CIFAR-10 file has at most {MAX_BYTES:,} bytes. Received: {size:,} in {path}.")
    return content()


def _batch(file: tuple[bytes, bool], name: str, path: Path) -> _Part:
    content, binary = file
    try:
        flat, labels = _binary(content) if binary else _pickled(content)
    except Exception as error:  # whatever a parser or NumPy raises for the bytes
        raise InputOutput(
            f"CIFAR-10's files hold arrays and labels. Received: {name} of {path} ({first_line(error)})."
        ) from None
    return np.ascontiguousarray(flat.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), labels


def _binary(content: bytes) -> _Part:
    rows = np.frombuffer(content, np.uint8).reshape(-1, 1 + PIXELS)
    return rows[:, 1:], rows[:, 0].astype(np.int32)


def _pickled(content: bytes) -> _Part:
    batch = _Reader(io.BytesIO(content), encoding="bytes").load()
    named = {key.decode() if isinstance(key, bytes) else key: value for key, value in batch.items()}
    labels = named["labels"]
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise ValueError("its labels are not whole numbers")
    flat = named["data"].array()
    if flat.shape != (len(labels), PIXELS):
        raise ValueError(f"it has {len(labels)} labels but pixels of shape {flat.shape}")
    return flat, np.array(labels, np.int32)


class _Kept:
    """Stand-in for `numpy.ndarray` and `numpy.dtype` that stores what the pickle says about them."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def array(self) -> np.ndarray:
        """The array of bytes that this object stands for."""
        _, shape, dtype, column_major, data = self.state
        if dtype.arguments[0] not in ("u1", b"u1") or column_major or not isinstance(data, bytes):
            raise ValueError("its pixels are not bytes in row-major order")
        return np.frombuffer(data, np.uint8).reshape(shape)


class _Reader(pickle.Unpickler):
    ALLOWED = (
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self.ALLOWED:
            return _Kept
        if (module, name) == ("_codecs", "encode"):  # how Python 3 writes bytes for Python 2
            return lambda text, _: text.encode("latin1")
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is not run")

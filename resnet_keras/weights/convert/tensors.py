"""The tensors of a weights file by name, read without trusting it. The first bytes tell the kind of file."""

import hashlib
import re
import stat
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from resnet_keras.errors import InputOutput
from resnet_keras.weights.convert import caffe_file, hdf5_file, pytorch_file
from resnet_keras.weights.convert.limits import MAX_BYTES, Numbers, Unreadable, first_line, need, shown

Named = dict[str, np.ndarray]
PREFIXES = ("module.", "_orig_mod.")
"""Prefixes that PyTorch's DataParallel and torch.compile put before every name."""
_PROTOTXT = re.compile(rb"\s*(?:#[^\n]*\n\s*)*(?:name|input|layers?|force_backward)\s*[:{]")
COUNTER = "num_batches_tracked"
"""PyTorch's count of the batches that a batch normalisation has seen: it plays no part in what a net computes."""


@dataclass(frozen=True)
class Tensors:
    """What a file holds.

    Attributes:
        arrays: the tensors by name; floating-point ones are float32 or float64, and finite.
        kind: kind of file.
        sha256: SHA-256 of the file.
        notes: what was unwrapped, stripped or widened.
    """

    arrays: Mapping[str, np.ndarray]
    kind: str
    sha256: str
    notes: tuple[str, ...] = ()


def read(path: Path) -> Tensors:
    """Reads a file of PyTorch, safetensors, NumPy (.npz), Keras (.h5, .keras) or Caffe (.caffemodel).

    Raises:
        OSError: the file is missing, damaged, too large, of no known kind, or holds numbers that are not finite.
        ValueError: the package that reads this kind is not installed.
    """
    try:
        data = _bytes(path)
        kind, reader = _kind(data)
        named, notes = reader(data)
        stripped, prefixes = _without_prefixes(named)
        arrays, widened = _checked(stripped)
    except Unreadable as error:
        raise InputOutput(f"A weights file holds the tensors of one net. Received: {path}, but {error}.") from None
    except OSError as error:
        raise InputOutput(f"A weights file is readable. Received: {path} ({error.strerror or error}).") from None
    return Tensors(arrays, kind, hashlib.sha256(data).hexdigest(), (*notes, *prefixes, *widened))


def read_blob(path: Path) -> np.ndarray:
    """Reads a Caffe file of a single blob (.binaryproto).

    Raises:
        OSError: the file is missing, damaged, too large, or holds numbers that are not finite.
    """
    try:
        arrays, _ = _checked({"its blob": caffe_file.read_blob(_bytes(path))})
    except Unreadable as error:
        raise InputOutput(f"A .binaryproto file holds one Caffe blob. Received: {path}, but {error}.") from None
    except OSError as error:
        raise InputOutput(f"A .binaryproto file is readable. Received: {path} ({error.strerror or error}).") from None
    return arrays["its blob"]


def _bytes(path: Path) -> bytes:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # a pipe would block
        raise Unreadable("it is a folder" if stat.S_ISDIR(status.st_mode) else "it is not a regular file")
    if status.st_size > MAX_BYTES:
        raise Unreadable(f"it has {status.st_size:,} bytes, more than the limit of {MAX_BYTES:,}")
    data = path.read_bytes()
    if not data:
        raise Unreadable("it is empty")
    return data


def _kind(data: bytes) -> tuple[str, Callable[[bytes], tuple[Named, list[str]]]]:
    if data.startswith(b"PK"):
        names = _members(data)
        if "model.weights.h5" in names:
            return "Keras", _read_keras
        if any(name.endswith("data.pkl") for name in names):
            return "PyTorch", pytorch_file.read
        if names and all(name.endswith(".npy") for name in names):
            return "NumPy", _read_npz
        raise Unreadable("it is a zip archive that was not written by PyTorch, NumPy or Keras")
    if data.startswith(hdf5_file.SIGNATURE):
        return "HDF5", hdf5_file.read
    if data[:1] == b"\x80":  # a pickle, which PyTorch wrote before version 1.6
        return "PyTorch", pytorch_file.read
    if data[8:9] == b"{":
        return "safetensors", _read_safetensors
    if data.startswith(b"version https://git-lfs"):
        raise Unreadable("it is a Git LFS pointer; fetch the file that it stands for")
    if _PROTOTXT.match(data[:4096]):
        raise Unreadable("it is a .prototxt, a text file that describes a Caffe net; the weights are in a .caffemodel")
    if data.startswith(caffe_file.FIRST_BYTES):
        return "Caffe", caffe_file.read
    raise Unreadable("it is not a .pt, .pth, .safetensors, .npz, .h5, .keras or .caffemodel file")


def _members(data: bytes) -> list[str]:
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            infos = archive.infolist()
    except Exception as error:  # on damage zipfile also raises struct.error and others
        raise Unreadable(f"its archive is truncated or damaged ({first_line(error)})") from None
    if sum(info.file_size for info in infos) > MAX_BYTES:
        raise Unreadable(f"it unpacks to more than {MAX_BYTES:,} bytes")
    return [info.filename for info in infos]


def _read_npz(data: bytes) -> tuple[Named, list[str]]:
    numbers = Numbers()
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            for name in archive.namelist():
                with archive.open(name) as file:
                    version = np.lib.format.read_magic(file)
                    old = version == (1, 0)
                    header = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
                    numbers.add(header(file)[0])
        with np.load(BytesIO(data), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}, []
    except Unreadable:
        raise
    except Exception as error:  # NumPy's, zlib's and zipfile's
        raise Unreadable(f"NumPy reports that it is damaged or pickled ({first_line(error)})") from None


def _read_keras(data: bytes) -> tuple[Named, list[str]]:
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            weights = archive.read("model.weights.h5")
    except Exception as error:
        raise Unreadable(f"its archive is truncated or damaged ({first_line(error)})") from None
    return hdf5_file.read(weights)


_SAFETENSORS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
                "I8": "|i1", "U8": "|u1", "BOOL": "|b1"}  # fmt: skip


def _read_safetensors(data: bytes) -> tuple[Named, list[str]]:
    need("safetensors", "A .safetensors file", "convert")
    import safetensors

    try:
        rows = safetensors.deserialize(data)  # type: ignore[no-untyped-call]  # safetensors has no types
    except Exception as error:  # the package's own, and those of its JSON parser
        raise Unreadable(f"safetensors reports that it is truncated or damaged ({first_line(error)})") from None
    named, notes = {}, []
    for name, row in rows:
        if row["dtype"] not in _SAFETENSORS:
            raise Unreadable(f"{shown(name)} has the type {row['dtype']}, which cannot be read")
        array = np.frombuffer(row["data"], _SAFETENSORS[row["dtype"]]).reshape(row["shape"])
        if row["dtype"] == "BF16":  # NumPy has no bfloat16: it is the upper half of a float32
            array = (array.astype("<u4") << 16).view("<f4")
            notes = ["bfloat16 widened to float32"]
        named[name] = array
    return named, notes


def _without_prefixes(named: Named) -> tuple[Named, list[str]]:
    notes = []
    for prefix in PREFIXES * 2:  # in either order
        if not any(name.startswith(prefix) for name in named):
            continue
        notes.append(f"stripped {prefix!r}")
        shorter = {name.removeprefix(prefix): array for name, array in named.items()}
        if len(shorter) < len(named):
            raise Unreadable(f"it holds tensors with and without {prefix!r} before the same name")
        named = shorter
    return {name: array for name, array in named.items() if name.rpartition(".")[2] != COUNTER}, notes


def _checked(named: Mapping[str, np.ndarray]) -> tuple[Named, list[str]]:
    arrays, notes = {}, []
    for name, array in named.items():
        if array.dtype.kind == "f":
            with np.errstate(over="ignore"):
                if not np.isfinite(array.astype(np.float32)).all():
                    raise Unreadable(f"{shown(name)} holds numbers that are not finite")
            if array.dtype.itemsize < 4:
                array = array.astype(np.float32)
                notes.append("float16 widened to float32")
            elif array.dtype.itemsize > 4:
                array = array.astype(np.float64)
                notes.append("float64 rounded to float32")
        arrays[name] = array
    return arrays, list(dict.fromkeys(notes))

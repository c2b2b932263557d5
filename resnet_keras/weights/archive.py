"""`model.keras` as a file: what is in it and where, and how it is opened without trusting it. Needs no framework.

It is the archive that Keras writes, with a description of the net (`Network.to_dict`) added to its `metadata.json`, and
without what Keras's `config.json` says about the backend that wrote it:

    metadata.json      Keras's version, date, "architecture", and "class_names" where they are known
    config.json        the layers, for `keras.models.load_model`
    model.weights.h5   the weights

The architecture has no file of its own because Keras unpacks an archive of more than three files to a temporary folder.
"""

import hashlib
import io
import json
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnet_keras.errors import InputOutput, InvalidValue
from resnet_keras.spec.class_names import ClassNames
from resnet_keras.spec.kinds import network_from_dict
from resnet_keras.spec.network import Network
from resnet_keras.weights.compile_config import for_every_backend
from resnet_keras.weights.strict_json import Refused, parse_json

METADATA, CONFIG, WEIGHTS = "metadata.json", "config.json", "model.weights.h5"
MEMBERS = (METADATA, CONFIG, WEIGHTS)

MAX_BYTES = 3 << 30
"""Limit in bytes of a file: PReLU-net C with SGD's momentum has 2.6 GB. A net's own limit follows from its weights."""
MAX_NAMELESS = 1 << 26
"""Limit in bytes for a file whose first bytes do not say which net it is; it is read to say what is wrong with it."""
MAX_METADATA = 1 << 18
"""Limit in bytes; a thousand class names take 15,000. A file is written without names that would exceed it."""
MAX_RUN = 1 << 22
"""Limit in bytes of a `run.json` beside the file."""
CONFIG_BASE, CONFIG_EACH = 1 << 16, 1 << 14
"""Limit in bytes of `config.json`, and its increase per weighted layer: three times what Keras writes."""
WEIGHTS_EACH = 1 << 15
"""Limit in bytes of HDF5's own structures per weighted layer, with its normalisation, ReLU, shortcut and momentum."""

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_VERSION, _STORED, _DATE = 20, 0, 33
"""The same for every member: zip 2.0, not compressed, 1 January 1980 at midnight."""
_OWNER_READS_AND_WRITES = 0o600 << 16
_HEAD = MAX_METADATA + (1 << 12)
"""Bytes at the start that hold the metadata; also the allowance for all of a file but configuration and weights."""


@dataclass(frozen=True)
class Saved:
    """A model file whose archive is intact.

    Attributes:
        network: the network that the file says it holds.
        weights: the bytes of `model.weights.h5`.
        class_names: what the labels mean; None where the file does not say.
    """

    network: Network
    weights: memoryview
    class_names: ClassNames | None = None


def add_network(path: Path, description: Mapping[str, Any], class_names: ClassNames | None = None) -> None:
    """Rewrites a file that Keras has just written: describes the net in its metadata and makes it fit every backend.

    The same contents give the same bytes, on any system and at any time. A file larger than `read` accepts is left
    unchanged.

    Args:
        path: the file; it is written in place, so it should not have its final name yet.
        description: `Network.to_dict()`.
        class_names: what the labels mean; None where that is not known.

    Raises:
        OSError: the file cannot be read or written, or is not as Keras writes it.
    """
    if path.stat().st_size > MAX_BYTES:
        return
    data = path.read_bytes()
    try:
        contents = _stored(data)
        metadata = json.loads(bytes(contents[METADATA])) | {"architecture": dict(description)}
        config = for_every_backend(json.loads(bytes(contents[CONFIG])))
        named = metadata | {"class_names": class_names}
    except (KeyError, ValueError, TypeError, RecursionError, zipfile.BadZipFile, struct.error) as error:
        raise InputOutput(f"A model file has the format that Keras writes. Received: {path} ({error}).") from None
    if class_names is not None and len(json.dumps(named)) <= MAX_METADATA:
        metadata = named
    contents[METADATA] = memoryview(json.dumps(metadata).encode())
    contents[CONFIG] = memoryview(json.dumps(config).encode())
    with path.open("wb") as file:
        for part in _archive(contents):
            file.write(part)


def _stored(data: bytes) -> dict[str, memoryview]:
    """The members of an archive that Keras has written, as views rather than copies."""
    contents = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in MEMBERS:
            info = archive.getinfo(name)
            *_, name_length, extra_length = _LOCAL.unpack_from(data, info.header_offset)
            start = info.header_offset + _LOCAL.size + name_length + extra_length
            contents[name] = memoryview(data)[start : start + info.file_size]
            if info.compress_type != zipfile.ZIP_STORED or zlib.crc32(contents[name]) != info.CRC:
                raise ValueError(f"{name} is damaged or compressed")
    return contents


def read(path: Path, *, sha256: str | None = None) -> Saved:
    """Reads the whole file once and checks everything that can be checked without a framework.

    Args:
        path: the file.
        sha256: the expected hash of the file; None takes it from a `run.json` beside it, if that has one.

    Raises:
        Refused: the file is not what `add_network` writes, or has another hash.
        OSError: the file cannot be read.
    """
    data = _read_file(path, _most_bytes_of_file)
    known = sha256 or _hash_in_run(path)
    if known is not None and (found := hashlib.sha256(data).hexdigest()) != known.lower():
        raise Refused(f"its SHA-256 starts with {found[:12]}, not {known[:12].lower()}")
    return _parse(memoryview(data))


def _read_file(path: Path, most_bytes: Callable[[bytes], int]) -> bytes:
    """Reads the whole of a regular file, unless it is larger than `most_bytes` allows for its first bytes."""
    # A pipe would block, and a device might never end.
    if not stat.S_ISREG(path.stat().st_mode):
        raise Refused("it is not a regular file")
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise Refused("it is not a regular file")
        most = most_bytes(file.read(_HEAD))
        if status.st_size > most:
            raise Refused(f"it has {status.st_size:,} bytes; the limit is {most:,}")
        file.seek(0)
        data = file.read(status.st_size + 1)
    if len(data) != status.st_size:
        raise Refused("its size changed while it was read")
    return data


def _hash_in_run(path: Path) -> str | None:
    run = path.with_name("run.json")
    if not run.exists():
        return None
    try:
        settings = parse_json(_read_file(run, lambda head: MAX_RUN), finite=False)
        files = settings.get("files") or {}
        known = files[path.name]["sha256"] if path.name in files else None
        if known is not None and not is_sha256(known):
            raise Refused("an invalid SHA-256")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Refused(f"the run.json beside it is damaged: {error}") from None
    return known


def is_sha256(value: object) -> bool:
    """Whether a value is a SHA-256 written as 64 hexadecimal digits."""
    return isinstance(value, str) and len(value) == 64 and not value.lower().strip("0123456789abcdef")


def _parse(data: memoryview) -> Saved:
    contents: dict[str, memoryview] = {}
    at = 0
    for name in MEMBERS:
        contents[name] = _member(data, at, name)
        at += _LOCAL.size + len(name) + len(contents[name])
        if name == METADATA:
            network, class_names = _described(contents[name])
            most = _most_bytes(network)
        elif len(contents[name]) > most[name]:
            raise Refused(f"{name} has {len(contents[name]):,} bytes, more than {network.name} needs")
    least = 4 * network.stored_numbers
    if len(contents[WEIGHTS]) < least:
        raise Refused(f"{WEIGHTS} has {len(contents[WEIGHTS]):,} bytes, fewer than {network.name} needs: {least:,}")
    if data[at:] != b"".join(_directory(contents)):
        raise Refused("the archive's directory does not match its three members")
    return Saved(network, contents[WEIGHTS], class_names)


def _member(data: memoryview, at: int, name: str) -> memoryview:
    """The member that starts at byte `at`: its header must be, byte for byte, the one that `_archive` writes."""
    start = at + _LOCAL.size + len(name)
    if len(data) < start:
        raise Refused(f"it ends before {name}")
    size = _LOCAL.unpack_from(data, at)[8]
    content = data[start : start + size]
    if len(content) < size or data[at:start] != _header(name, content):
        # The header holds the checksum of the content.
        raise Refused(f"{name} is damaged or not stored as Keras stores it")
    return content


def _described(content: memoryview) -> tuple[Network, ClassNames | None]:
    if len(content) > MAX_METADATA:
        raise Refused(f"{METADATA} has {len(content):,} bytes; the limit is {MAX_METADATA:,}")
    metadata = parse_json(content)
    if not isinstance(metadata, dict) or not isinstance(metadata.get("keras_version"), str):
        raise Refused(f"{METADATA} was not written by Keras")
    if "architecture" not in metadata:
        raise Refused("it does not say which net it is: resnet_keras.save records that, keras.Model.save does not")
    if metadata.keys() - {"class_names"} != {"keras_version", "date_saved", "architecture"}:
        raise Refused(f"{METADATA} does not hold exactly Keras's entries, the architecture and any class names")
    try:
        network = network_from_dict(metadata["architecture"])
    except InvalidValue as error:
        raise Refused(f"its architecture is invalid: {str(error).rstrip('.')}") from None
    names = metadata.get("class_names")
    if names is not None and not are_class_names(names, network.num_classes):
        raise Refused(f"its class names are not {network.num_classes:,} different names")
    return network, None if names is None else tuple(names)


def are_class_names(names: object, classes: int) -> bool:
    """Whether a value is a list of `classes` different names."""
    return (
        isinstance(names, list)
        and all(isinstance(name, str) for name in names)
        and len(names) == len(set(names)) == classes
    )


def _most_bytes_of_file(head: bytes) -> int:
    """The size limit of a model file that starts with these bytes."""
    try:
        network, _ = _described(_member(memoryview(head), 0, METADATA))
    except Refused:
        return MAX_NAMELESS
    return min(MAX_BYTES, _HEAD + sum(_most_bytes(network).values()))


def _most_bytes(network: Network) -> dict[str, int]:
    layers = len(list(network.weighted_layers()))
    numbers = network.stored_numbers + network.parameters
    return {CONFIG: CONFIG_BASE + layers * CONFIG_EACH, WEIGHTS: 4 * numbers + (layers + 4) * WEIGHTS_EACH}


def _archive(contents: Mapping[str, memoryview]) -> Iterator[bytes | memoryview]:
    """A zip file of these members, as `zipfile` writes them; the members determine every byte."""
    for name, content in contents.items():
        yield _header(name, content)
        yield content
    yield from _directory(contents)


def _header(name: str, content: memoryview) -> bytes:
    size = len(content)
    fixed = (b"PK\3\4", _VERSION, 0, _STORED, 0, _DATE)
    return _LOCAL.pack(*fixed, zlib.crc32(content), size, size, len(name), 0) + name.encode()


def _directory(contents: Mapping[str, memoryview]) -> Iterator[bytes]:
    at = length = 0
    for name, content in contents.items():
        size = len(content)
        fixed = (b"PK\1\2", 3 << 8 | _VERSION, _VERSION, 0, _STORED, 0, _DATE)
        attributes = (len(name), 0, 0, 0, 0, _OWNER_READS_AND_WRITES, at)
        entry = _CENTRAL.pack(*fixed, zlib.crc32(content), size, size, *attributes) + name.encode()
        yield entry
        length += len(entry)
        at += _LOCAL.size + len(name) + size
    yield _END.pack(b"PK\5\6", 0, 0, len(contents), len(contents), length, at, 0)

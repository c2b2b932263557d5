"""Caffe's binary files, `.caffemodel` and `.binaryproto`: the blobs of a net's layers, by "layer/number".

They are messages of caffe.proto in the wire format of Protocol Buffers. Only the few fields that hold names, shapes
and numbers are read. Google's package would need code generated from caffe.proto, and decodes a whole file before any
of its sizes can be checked.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from resnet_keras.weights.convert.limits import Numbers, Unreadable, shown

FIRST_BYTES = (b"\x0a", b"\x12", b"\x1a", b"\xa2\x06")
"""First bytes of a NetParameter: the tag of its name, of a layer in the old or the new form, or of an input."""
_LAYER, _V1_LAYER = 100, 2
"""Field numbers of a NetParameter."""
_NAME, _BLOBS = {_LAYER: 1, _V1_LAYER: 4}, {_LAYER: 7, _V1_LAYER: 6}
"""Field numbers of a layer, in either form."""
_DATA, _SHAPE, _DOUBLE_DATA, _OLD_SHAPE = 5, 7, 8, (1, 2, 3, 4)
"""Field numbers of a BlobProto; before it had a shape, it had num, channels, height and width."""
_VARINT, _BYTES = 0, 2
_FIXED = {1: 8, 5: 4}
"""Field types of the wire format; each of a fixed size with its size in bytes."""
_MOST_FIELDS = 1 << 20
"""Limit for one file: ResNet-152 has about 20,000. A file of a gigabyte can hold 500 million."""
_MOST_LETTERS = 1000
"""Limit for a layer's name."""
_MOST_AXES = 32
"""Caffe's own limit."""


def read(data: bytes) -> tuple[dict[str, np.ndarray], list[str]]:
    """The blobs of a net (a NetParameter) by "layer/number", such as "conv1/0", and notes.

    Raises:
        Unreadable: cut off, damaged, another message, or too much of it.
    """
    reader, arrays = _Reader(), {}
    for number, layer in reader.fields(memoryview(data)):
        if number not in _NAME or not isinstance(layer, memoryview):
            continue
        name, blobs = "", []
        for part, value in reader.fields(layer):
            if part == _NAME[number] and isinstance(value, memoryview):
                name = _text(value)
            elif part == _BLOBS[number] and isinstance(value, memoryview):
                blobs.append(value)
        for index, blob in enumerate(blobs):
            key = f"{name}/{index}"
            if key in arrays:
                raise Unreadable(f"{shown(key)} occurs twice")
            arrays[key] = reader.blob(blob, key)
    if not arrays:
        raise Unreadable("it is not a Caffe net with weights")
    return arrays, []


def read_blob(data: bytes) -> np.ndarray:
    """The blob of a file that holds a single one (a BlobProto).

    Raises:
        Unreadable: cut off, damaged, another message, or too much of it.
    """
    return _Reader().blob(memoryview(data), "its blob")


@dataclass
class _Reader:
    numbers: Numbers = field(default_factory=Numbers)
    count: int = 0
    """Fields read so far."""

    def blob(self, data: memoryview, name: str) -> np.ndarray:
        """A BlobProto's numbers; any gradients that it holds are ignored."""
        old, shape = [0, 0, 0, 0], None
        pieces: dict[int, list[memoryview]] = {_DATA: [], _DOUBLE_DATA: []}
        for number, value in self.fields(data):
            if number in _OLD_SHAPE and isinstance(value, int):
                old[number - 1] = value
            elif number == _SHAPE and isinstance(value, memoryview):
                shape = self._dimensions(value)
            elif number in pieces:
                # Caffe packs the numbers; read one by one, a gigabyte would take minutes.
                if not isinstance(value, memoryview) or len(value) % (4 if number == _DATA else 8):
                    raise Unreadable(f"{shown(name)} does not store its numbers in packed form")
                pieces[number].append(value)
        kind, parts = ("<f8", pieces[_DOUBLE_DATA]) if pieces[_DOUBLE_DATA] else ("<f4", pieces[_DATA])
        array = np.concatenate([np.frombuffer(part, kind) for part in parts]) if parts else np.zeros(0, np.float32)
        shape = old if shape is None else shape
        if math.prod(shape) != array.size or not array.size:
            raise Unreadable(f"{shown(name)} has the shape {shown(tuple(shape))} and {array.size:,} numbers")
        self.numbers.add(array.shape)
        return array.reshape(shape)

    def _dimensions(self, data: memoryview) -> list[int]:
        """The dimensions in a BlobShape."""
        shape: list[int] = []
        for number, value in self.fields(data):
            if number == 1 and isinstance(value, memoryview):
                at = 0
                while at < len(value) and len(shape) <= _MOST_AXES:
                    size, at = _varint(value, at)
                    shape.append(size)
            elif number == 1 and isinstance(value, int):
                shape.append(value)
        if len(shape) > _MOST_AXES:
            raise Unreadable(f"one of its blobs has more than {_MOST_AXES} axes")
        return shape

    def fields(self, data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
        """The number and value of every field of a message; a value is an integer or bytes."""
        at = 0
        while at < len(data):
            self.count += 1
            if self.count > _MOST_FIELDS:
                raise Unreadable(f"it holds more than {_MOST_FIELDS:,} fields")
            tag, at = _varint(data, at)
            if not tag >> 3:
                raise Unreadable("it is damaged or not a Caffe file (a field without a number)")
            kind = tag & 7
            if kind == _VARINT:
                value, at = _varint(data, at)
                yield tag >> 3, value
                continue
            if kind == _BYTES:
                size, at = _varint(data, at)
            elif kind in _FIXED:
                size = _FIXED[kind]
            else:
                raise Unreadable(f"it is damaged or not a Caffe file (a field of type {kind})")
            if size > len(data) - at:
                raise Unreadable(
                    f"it is truncated or damaged (a field claims {size:,} bytes, {len(data) - at:,} are left)"
                )
            piece = data[at : at + size]
            yield tag >> 3, piece if kind == _BYTES else int.from_bytes(piece, "little")
            at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """An integer of at most 64 bits, seven to a byte, and the position where it ends."""
    number = 0
    for index, byte in enumerate(data[at : at + 10]):
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return number, at + index + 1
    raise Unreadable("it is truncated or damaged (a number without an end)")


def _text(data: memoryview) -> str:
    return bytes(data[:_MOST_LETTERS]).decode("utf-8", "replace")

"""The part of HDF5 that Keras writes: groups, and arrays of numbers stored contiguously.

libhdf5 is not made for hostile bytes, and the pure Python readers understand far more than is wanted here (filters,
links, external files, references). This one knows one form of each structure, follows no address twice and refuses
everything else. Section numbers are those of the HDF5 File Format Specification, version 3.0.
"""

import math
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from resnet_keras.errors import shown

UNDEFINED = 2**64 - 1
"""The address that points to nothing."""

_LEAF, _INNER = 4, 16
"""Half the capacity of a group's nodes, in links, and of its tree's nodes, in children: the values libhdf5 uses."""
MAX_MESSAGES = 32
"""Limit for one header; libhdf5 writes eight."""
MAX_NAMES, MAX_NAME_BYTES = 1 << 16, 1 << 18
"""Limits for one group; that of a deep net's momentum has 3,600 names in 29 kB."""

_SUPERBLOCK = struct.Struct("<8s8B2HI4Q")
_ENTRY = struct.Struct("<2QII2Q")
_HEADER = struct.Struct("<BxHIII")
_MESSAGE = struct.Struct("<2HB3x")
_TREE = struct.Struct("<4sBBHQQ")
_HEAP = struct.Struct("<4sB3x3Q")
_HEAP_START = struct.Struct("<4sB3xQ")
_NODE = struct.Struct("<4sBxH")

_MESSAGES = {
    0x02: "new-style links",
    0x06: "new-style links",
    0x07: "an external file",
    0x0B: "a filter",
    0x0C: "an attribute",
}
_NOTHING, _SPACE, _TYPE, _FILL_OLD, _FILL, _LAYOUT = 0x00, 0x01, 0x03, 0x04, 0x05, 0x08
_ATTRIBUTE, _CONTINUATION, _TABLE, _TIME = 0x0C, 0x10, 0x11, 0x12
_OF_GROUP = {_NOTHING, _ATTRIBUTE, _CONTINUATION, _TABLE, _TIME}
_OF_ARRAY = {_NOTHING, _SPACE, _TYPE, _FILL_OLD, _FILL, _LAYOUT, _CONTINUATION, _TIME}

_FLOAT = struct.pack("<B3BIHHBBBBI", 0x11, 0x20, 31, 0, 4, 0, 32, 23, 8, 0, 23, 127)
_TYPES = {
    "<f4": _FLOAT,
    "<i4": struct.pack("<B3BIHH", 0x10, 0x08, 0, 0, 4, 0, 32),
    "<i8": struct.pack("<B3BIHH", 0x10, 0x08, 0, 0, 8, 0, 64),
}
"""IV.A.2.d: NumPy's name for each type, and HDF5's description of it."""


class Unexpected(ValueError):
    """The bytes are not what was expected; the text says what is wrong with them."""


@dataclass(frozen=True)
class Array:
    """What a dataset must be."""

    shape: tuple[int, ...]
    types: tuple[str, ...] = ("<f4",)


Layout = Mapping[str, "Array | Layout"]
"""What a group must hold: an array or a group under each name."""


def names(data: memoryview, *path: str) -> list[str] | None:
    """The names in a group, or None where there is no such group; what the names stand for is not examined.

    Raises:
        Unexpected: the file does not have the expected form.
    """
    with _in_words():
        reader = _Reader(data)
        links = reader.links(reader.root(), MAX_NAMES)
        for name in path:
            if name not in links:
                return None
            links = reader.links(links[name], MAX_NAMES)
        return list(links)


def read(data: memoryview, layout: Layout) -> dict[str, np.ndarray]:
    """The arrays of a file that holds exactly the names, shapes and types of `layout`.

    Args:
        data: the whole file.
        layout: what the file must hold.

    Returns:
        The arrays by path, "layers/dense/vars/0"; they are views of `data`.

    Raises:
        Unexpected: the file holds something else, or does not have the expected form.
    """
    with _in_words():
        reader = _Reader(data)
        arrays: dict[str, np.ndarray] = {}
        reader.group(reader.root(), "", layout, arrays)
        reader.check_every_byte()
        return arrays


@contextmanager
def _in_words() -> Iterator[None]:
    """Turns Python's errors on offsets and sizes that make no sense into `Unexpected`."""
    try:
        yield
    except Unexpected:
        raise
    except (struct.error, OverflowError, ValueError) as error:
        raise Unexpected(f"a malformed structure: {error}") from None


class _Reader:
    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._tables: dict[int, tuple[int, int]] = {}
        self._pieces: dict[int, int] = {}

    def root(self) -> int:
        """II.A, superblock of version 0: the address of the root group."""
        self._take(0, _SUPERBLOCK.size + _ENTRY.size)
        signature, *sizes, leaf, inner, flags, base, free, end, driver = _SUPERBLOCK.unpack_from(self._data)
        if signature != b"\x89HDF\r\n\x1a\n":
            raise Unexpected("it is not an HDF5 file")
        if sizes != [0, 0, 0, 0, 0, 8, 8, 0] or (leaf, inner) != (_LEAF, _INNER):
            raise Unexpected("its superblock is not of version 0")
        if end != len(self._data):
            raise Unexpected(f"its superblock says that it has {end:,} bytes, but it has {len(self._data):,}")
        if (flags, base, free, driver) != (0, 0, UNDEFINED, UNDEFINED):
            raise Unexpected("its superblock has addresses that Keras does not write")
        _, address, cache, _, tree, heap = _ENTRY.unpack_from(self._data, _SUPERBLOCK.size)
        return self._linked(address, cache, tree, heap)

    def group(self, address: int, path: str, layout: Layout, arrays: dict[str, np.ndarray]) -> None:
        found = self.links(address, len(layout))
        if found.keys() != layout.keys():
            kinds = (("unexpected", found.keys() - layout.keys()), ("missing", layout.keys() - found.keys()))
            kind, odd = next((kind, odd) for kind, odd in kinds if odd)
            raise Unexpected(f"{kind} {shown(path + min(odd))}")
        for name, expected in layout.items():
            if isinstance(expected, Array):
                arrays[path + name] = self._array(found[name], path + name, expected)
            else:
                self.group(found[name], f"{path}{name}/", expected, arrays)

    def links(self, address: int, most: int) -> dict[str, int]:
        """III.A to III.D: the names in a group and the addresses of what they name."""
        messages = self._messages(address, _OF_GROUP, "a group")
        if len(messages.get(_TABLE, ())) != 1:
            raise Unexpected("a group without a symbol table")
        tree, heap = struct.unpack_from("<2Q", messages[_TABLE][0])
        if self._tables.get(address, (tree, heap)) != (tree, heap):
            raise Unexpected("a group whose symbol table differs from that of its link")
        signature, version, size, _, start = _HEAP.unpack(self._take(heap, _HEAP.size))
        if (signature, version) != (b"HEAP", 0):
            raise Unexpected("a group without a heap for its names")
        if size > MAX_NAME_BYTES:
            raise Unexpected(f"a group whose names take {size:,} bytes")
        strings = bytes(self._take(start, size))
        found: dict[str, int] = {}
        for node in self._leaves(tree, None):
            entries = self._take(node, _NODE.size + 2 * _LEAF * _ENTRY.size)
            signature, version, count = _NODE.unpack_from(entries)
            if (signature, version) != (b"SNOD", 1):
                raise Unexpected("a group whose symbol table has an invalid node")
            for number in range(count):
                offset, target, cache, _, *table = _ENTRY.unpack_from(entries, _NODE.size + number * _ENTRY.size)
                name = strings[offset : strings.index(b"\0", offset)].decode("ascii")
                if name in found:
                    raise Unexpected(f"two links named {shown(name)}")
                found[name] = self._linked(target, cache, *table)
            if len(found) > most + 2 * _LEAF:
                raise Unexpected("a group with too many names")
        return found

    def _linked(self, address: int, cache: int, tree: int, heap: int) -> int:
        """III.C: the target of a hard link; a group's symbol table that the link repeats is kept for comparison."""
        if cache == 2:
            raise Unexpected("a soft link")
        if cache not in (0, 1):
            raise Unexpected("a link of an unknown type")
        if cache == 1:
            self._tables[address] = (tree, heap)
        return address

    def _leaves(self, address: int, level: int | None) -> list[int]:
        """III.A.1: the children of the lowest nodes of a group's tree."""
        node = self._take(address, _TREE.size + (4 * _INNER + 1) * 8)
        signature, kind, height, count, _, _ = _TREE.unpack_from(node)
        if (signature, kind) != (b"TREE", 0) or height != (min(height, 8) if level is None else level):
            raise Unexpected("a group without a valid B-tree of names")
        children = struct.unpack_from(f"<{2 * count + 1}Q", node, _TREE.size)[1::2]
        if height == 0:
            return list(children)
        return [leaf for child in children for leaf in self._leaves(child, height - 1)]

    def _array(self, address: int, path: str, expected: Array) -> np.ndarray:
        messages = self._messages(address, _OF_ARRAY, path)
        for kind in (_SPACE, _TYPE, _LAYOUT):
            if len(messages.get(kind, ())) != 1:
                raise Unexpected(f"{path} is not an array")
        shape = self._shape(messages[_SPACE][0], path)
        if shape != expected.shape:
            raise Unexpected(f"{path} has the shape {shown(shape)}, not {expected.shape}")
        described = bytes(messages[_TYPE][0])
        for dtype in expected.types:
            if described.rstrip(b"\0") == _TYPES[dtype].rstrip(b"\0"):
                break
        else:
            raise Unexpected(f"{path} is not of type {' or '.join(expected.types)}")
        version, kind, start, size = struct.unpack_from("<BBQQ", bytes(messages[_LAYOUT][0]).ljust(18, b"\0"))
        if (version, kind) != (3, 1):
            raise Unexpected(f"{path} is not stored in one piece")
        if size != math.prod(shape) * np.dtype(dtype).itemsize:
            raise Unexpected(f"{path} has a size that does not match its shape")
        return np.frombuffer(self._take(start, size), dtype).reshape(shape)

    def _shape(self, message: memoryview, path: str) -> tuple[int, ...]:
        """IV.A.2.b: the shape of a dataspace that cannot grow."""
        version, rank, flags = struct.unpack_from("<BBB", message)
        if version != 1 or rank > 8 or flags > 1:
            raise Unexpected(f"{path} has no valid shape")
        numbers = struct.unpack_from(f"<{rank * (1 + flags)}Q", message, 8)
        if flags and numbers[:rank] != numbers[rank:]:
            raise Unexpected(f"{path} can grow")
        return numbers[:rank]

    def _messages(self, address: int, allowed: set[int], what: str) -> dict[int, list[memoryview]]:
        """IV.A.1.a, object header of version 1: its messages, by kind."""
        version, count, _, size, _ = _HEADER.unpack_from(self._data, address)
        if version != 1:
            raise Unexpected(f"{what} with a header of an unsupported version")
        if count > MAX_MESSAGES:
            raise Unexpected(f"{what} with too many header messages: {count:,}")
        self._take(address, _HEADER.size + size)
        blocks = [(address + _HEADER.size, size)]
        found: dict[int, list[memoryview]] = {}
        for start, length in blocks:
            at, end = start, start + length
            while at + _MESSAGE.size <= end and count:
                kind, size, flags = _MESSAGE.unpack_from(self._data, at)
                at += _MESSAGE.size + size
                count -= 1
                if kind not in allowed or flags & 2 or at > end:
                    raise Unexpected(f"{what} with {_MESSAGES.get(kind, 'a message of an unknown type')}")
                body = self._data[at - size : at]
                found.setdefault(kind, []).append(body)
                if kind == _CONTINUATION:
                    more, length = struct.unpack_from("<2Q", body)
                    self._take(more, length)
                    blocks.append((more, length))
        if count:
            raise Unexpected(f"{what} with a truncated header")
        return found

    def _take(self, start: int, size: int) -> memoryview:
        """Bytes of the file; each address can be taken only once, so that nothing is followed in a circle."""
        if start in self._pieces or start + size > len(self._data):
            raise Unexpected("an address that is outside the file or used twice")
        self._pieces[start] = size
        return self._data[start : start + size]

    def check_every_byte(self) -> None:
        """Checks that each byte belongs to one structure or array, apart from zeros, and heaps with the layers' names.

        A changed address leaves the bytes that it used to point to without an owner.
        """
        end = 0
        for start, size in [*sorted(self._pieces.items()), (len(self._data), 0)]:
            while end + _HEAP_START.size <= start:
                signature, version, heap = _HEAP_START.unpack_from(self._data, end)
                if (signature, version) != (b"GCOL", 1) or not heap:
                    break
                end += heap
            if end > start or bytes(self._data[end:start]).strip(b"\0"):
                raise Unexpected(f"bytes near {start:,} that belong to two structures or to none")
            end = start + size

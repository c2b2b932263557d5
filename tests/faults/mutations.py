"""Small changes to a good file where its bytes mean something; a changed member is repacked with the right checksum.

For a given file, a mutation depends on its number alone, so one that fails can be made again.
"""

import io
import json
import random
import struct
from functools import lru_cache
from typing import Any

import h5py
from model_files import CONFIG, METADATA, WEIGHTS

from faults.hostile import Good

VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 3, 8, 255, 2**31, 2**63, 2**64, 10**30, 0.0, -0.5, 1e-5, 1e300),
    *(
        "",
        "x",
        "relu",
        "sigmoid",
        "float64",
        "mixed_bfloat16",
        "Lambda",
        "keras.layers",
        "os",
        "../x",
        "\n",
        "\u0000",
        "é",
    ),
    *([], {}, [None], [[]], {"a": 1}, [2, 2], {"class_name": "Lambda"}, {"module": "os", "class_name": "system"}),
]
NUMBERS = [0, 1, 2, 7, 8, 24, 96, 136, 255, 2**16 - 1, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1, 2**64 - 8]


def mutated(good: Good, number: int) -> tuple[str, bytes]:
    """What was changed, and the file."""
    chance = random.Random(number)
    what = chance.choice(
        ["archive", "metadata", "config", "config", "text", "weights", "weights", "weights", "weights"]
    )
    if what == "archive":
        return what, _bytes(chance, good.data, _archive_places(good.data))
    if what == "weights":
        data = old = good.members[WEIGHTS]
        for _ in range(chance.choice([1, 1, 1, 2, 4])):
            if len(data) == len(old):
                data = _bytes(chance, data, _structure(old))
        return what, good.repack(weights=data)
    if what == "text":
        name, part = chance.choice([(METADATA, "metadata"), (CONFIG, "config")])
        return f"{what} of {part}", good.repack(**{part: _bytes(chance, good.members[name], [])})
    tree = json.loads(good.members[METADATA if what == "metadata" else CONFIG])
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        _edit(chance, tree)
    return what, good.repack(**{what: tree})


def _bytes(chance: random.Random, data: bytes, places: list[range]) -> bytes:
    span = chance.choice(places) if places else range(len(data))
    at = chance.choice(span)
    even, eighth = at - at % 2, at - at % 8

    def put(start: int, content: bytes) -> bytes:
        # Stay within the span: its neighbours may be numbers.
        start = max(start, span.start)
        content = content[: span.stop - start]
        return data[:start] + content + data[start + len(content) :]

    match chance.choice(["bit", "byte", "number", "address", "small", "cut", "insert", "delete", "copy"]):
        case "bit":
            return put(at, bytes([data[at] ^ 1 << chance.randrange(8)]))
        case "byte":
            return put(at, bytes([chance.randrange(256)]))
        case "number":
            return put(eighth, struct.pack("<Q", chance.choice(NUMBERS)))
        case "address":
            return put(eighth, struct.pack("<Q", chance.randrange(len(data)) & ~7))
        case "small":
            return put(even, struct.pack("<H", chance.choice([0, 1, 2, 3, 6, 7, 11, 17, 65535])))
        case "cut":
            return data[: chance.randrange(len(data))]
        case "insert":
            return data[:at] + chance.randbytes(chance.choice([1, 8, 64])) + data[at:]
        case "delete":
            return data[:at] + data[at + chance.choice([1, 8, 64]) :]
        case _:
            size, start = chance.choice([1, 8, 40, 64]), chance.randrange(len(data))
            return put(at, data[start : start + size])


def _archive_places(data: bytes) -> list[range]:
    starts = []
    for signature, size in ((b"PK\3\4", 46), (b"PK\1\2", 62), (b"PK\5\6", 22)):
        at = data.find(signature)
        while at >= 0:
            starts.append(range(at, min(at + size, len(data))))
            at = data.find(signature, at + 1)
    return starts


@lru_cache(maxsize=1)
def _structure(data: bytes) -> list[range]:
    """Where an HDF5 file has structures rather than numbers; a short stretch is as likely to be drawn as a long one."""
    pieces: list[tuple[int, int]] = []
    with h5py.File(io.BytesIO(data)) as file:

        def add(_: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                pieces.append((item.id.get_offset(), item.id.get_storage_size()))

        file.visititems(add)
    spans, end = [], 0
    for start, size in [*sorted(pieces), (len(data), 0)]:
        if start > end:
            spans.append(range(end, start))
        end = start + size
    return spans


def _nodes(tree: Any) -> list[tuple[Any, Any]]:
    """Every place in a tree, as the object or list that holds it and its key."""
    found, level = [], [tree]
    while level:
        inner = level.pop()
        keys = list(inner) if isinstance(inner, dict) else range(len(inner)) if isinstance(inner, list) else ()
        for key in keys:
            found.append((inner, key))
            level.append(inner[key])
    return found


def _edit(chance: random.Random, tree: Any) -> None:
    nodes = _nodes(tree)
    if not nodes:
        return
    holder, key = chance.choice(nodes)
    match chance.choice(["value", "value", "delete", "swap", "near", "add", "rename"]):
        case "value":
            holder[key] = json.loads(json.dumps(chance.choice(VALUES)))
        case "delete":
            del holder[key]
        case "swap":
            other, place = chance.choice(nodes)
            one, two = json.dumps(holder[key]), json.dumps(other[place])
            holder[key], other[place] = json.loads(two), json.loads(one)
        case "near":
            old = holder[key]
            holder[key] = old + 1 if isinstance(old, int | float) else [old] if isinstance(old, str) else None
        case "add":
            new = json.loads(json.dumps(chance.choice(VALUES)))
            if isinstance(holder, dict):
                holder[chance.choice(["x", "class_name", "module", "registered_name", "dtype", "custom_objects"])] = new
            else:
                holder.insert(key, new)
        case _:
            if isinstance(holder, dict):
                holder[f"{key}_"] = holder.pop(key)

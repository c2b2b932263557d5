"""Photographs of a data set prepared by TensorFlow Datasets; TensorFlow is not imported."""

import hashlib
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

import numpy as np

from resnet_keras.data.photographs.split import Example, Part, Split
from resnet_keras.errors import InputOutput, first_line

TFDS_PARTS: dict[Part | Literal["test"], tuple[str, ...]] = {
    "train": ("train",),
    "val": ("validation", "val", "test"),
    "test": ("test", "validation", "val"),
}
"""TensorFlow Datasets' names for the parts of photographs and of small images; the first one present is used."""


TOGETHER = 1_000
"""Examples read at a time when all are read."""


@dataclass(frozen=True)
class _Records:
    """Photographs of a prepared data set; `one` and `several` return features of examples, images still encoded."""

    count: int
    one: Callable[[int], Any]
    several: Callable[[Sequence[int]], Sequence[Any]]
    where: str

    def __len__(self) -> int:
        return self.count

    def example(self, index: int) -> Example:
        try:
            return _example(self.one(index))
        except InputOutput:
            raise
        except Exception as error:  # whatever array_record and TensorFlow Datasets raise for damaged files
            lines = str(error).splitlines()
            raise InputOutput(
                f"{self.location(index)} could not be read ({lines[0] if lines else type(error).__name__})."
            ) from error

    def examples(self) -> Iterator[Example]:
        """All examples, read many at a time: reading small images one by one takes three times as long."""
        for first in range(0, self.count, TOGETHER):
            indices = range(first, min(first + TOGETHER, self.count))
            try:
                found = [_example(features) for features in self.several(list(indices))]
            except Exception:  # one is damaged: find and name it
                found = [self.example(index) for index in indices]
            yield from found

    def location(self, index: int) -> str:
        return f"image {index} of {self.where}"


def _example(features: Any) -> Example:
    return Example(bytes(features["image"]), int(features["label"]))


def prepared(folder: Path, part: Part | Literal["test"]) -> Split:
    """One part of a prepared data set.

    Args:
        folder: the folder that holds `dataset_info.json`.
        part: which part; see `TFDS_PARTS`.

    Raises:
        OSError: TensorFlow Datasets is not installed, or the data set cannot be read or is of another kind.
    """
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise InputOutput(
            f"{folder} is read with tensorflow-datasets. Not installed: {error.name}. Install it: "
            'pip install -e ".[data]"'
        ) from None
    try:
        builder = tfds.builder_from_directory(folder)
        info = builder.info
        split = next((name for name in TFDS_PARTS[part] if name in info.splits), None)
        features = {name: type(feature).__name__ for name, feature in info.features.items()}
    except Exception as error:  # a damaged dataset_info.json can raise anything
        raise InputOutput(
            f"{folder} is not a data set prepared by TensorFlow Datasets ({first_line(error)})."
        ) from error
    if split is None or not info.splits[split].num_examples:
        wanted = " or ".join(TFDS_PARTS[part])
        raise InputOutput(
            f"A data set has photographs in its {wanted} split. Received: {folder} with {dict(info.splits)}."
        )
    if (features.get("image"), features.get("label")) != ("Image", "ClassLabel"):
        raise InputOutput(f"A data set of photographs has an image and a label. Received: {folder} with {features}.")
    count = info.splits[split].num_examples
    skip = {"image": tfds.decode.SkipDecoding()}
    if str(info.file_format.value) == "array_record":
        stored = builder.as_data_source(split=split, decoders=skip)
        one, several = stored.__getitem__, stored.__getitems__
    else:
        record = _tfrecords(info, split)
        deserialize = partial(info.features.deserialize_example_np, decoders=skip)

        def one(index: int) -> Any:
            return deserialize(record(index))

        def several(indices: Sequence[int]) -> Sequence[Any]:
            return [one(index) for index in indices]

    label = info.features["label"]
    digest = hashlib.sha256(f"{info.full_name} {split} {count}".encode()).hexdigest()
    return Split(
        name=info.name,
        source=f"TensorFlow Datasets {info.full_name}",
        class_names=tuple(label.names),
        reader=_Records(count, one, several, f"{split} in {folder}"),
        fingerprint=digest[:16],
        indices=np.arange(count),
    )


def _tfrecords(info: Any, split: str) -> Callable[[int], bytes]:
    """Random access to TFRecord files by the position of each record; tf.data only reads them from start to end.

    A record is a length (8 bytes, little endian), a checksum of the length (4), the data, and the data's checksum (4).
    """
    if str(info.file_format.value) != "tfrecord":
        raise InputOutput(
            f"Photographs are read from array_record or TFRecord files. Received: {info.file_format.value}."
        )
    paths = [Path(path) for path in info.splits[split].filepaths]
    records: list[np.ndarray] = []
    for path, expected in zip(paths, info.splits[split].shard_lengths, strict=True):
        records.append(record_spans(path))
        if len(records[-1]) != expected:
            raise InputOutput(f"{path} holds {expected} photographs. Received: {len(records[-1])}; it is truncated.")
    ends = list(accumulate(len(shard) for shard in records))

    def record(index: int) -> bytes:
        shard = bisect_right(ends, index)
        start, length = records[shard][index - (ends[shard - 1] if shard else 0)].tolist()
        with paths[shard].open("rb") as file:
            file.seek(start)
            return file.read(length)

    return record


def record_spans(path: Path) -> np.ndarray:
    """(records, 2): where each record's data starts, and how long it is."""
    found = []
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            at = 0
            while at < size:
                file.seek(at)
                (length,) = struct.unpack("<Q", file.read(12)[:8])
                found.append((at + 12, length))
                at += 12 + length + 4
        if at != size:
            raise InputOutput(
                f"A TFRecord file ends with a complete record. Received: {path}, which is truncated or damaged."
            )
    except struct.error:
        raise InputOutput(
            f"A TFRecord file ends with a complete record. Received: {path}, which is truncated."
        ) from None
    except OSError as error:
        if isinstance(error, InputOutput):
            raise
        raise InputOutput(f"{path} could not be read ({error.strerror}).") from None
    return np.array(found, np.int64).reshape(-1, 2)

"""Where photographs come from: a folder with a folder for each class, or a data set that TensorFlow Datasets prepared.

    train/<class>/*  val/<class>/*      any image files; classes in alphabetical order, as in every port
    imagenet2012/<version>/             array_record or TFRecord files; TensorFlow is not imported for either

A `Split` gives photograph number i at any time and from any thread, which an order by (seed, epoch, index) needs.
"""

import hashlib
import os
import struct
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import numpy as np
from PIL import Image

from resnet_keras.data.photographs.decoding import decode, verify
from resnet_keras.errors import InputOutput, InvalidValue

Part = Literal["train", "val"]
SUFFIXES = (".jpeg", ".jpg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
TFDS_PARTS: dict[Part, tuple[str, ...]] = {"train": ("train",), "val": ("validation", "val", "test")}
"""What TensorFlow Datasets calls the two parts; the first that is there counts."""
LAYOUT = (
    "--data-dir holds train/<class>/*.jpg and val/<class>/*.jpg, or a data set prepared by TensorFlow Datasets "
    "(<name>/<version>/dataset_info.json)."
)
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Example(NamedTuple):
    """A photograph as it is stored."""

    image: bytes
    label: int


class Reader(Protocol):
    """Random access to stored photographs, from any thread."""

    def __len__(self) -> int: ...

    def example(self, index: int) -> Example:
        """Number `index` of the part."""
        ...

    def place(self, index: int) -> str:
        """Where it is, for an error."""
        ...


@dataclass(frozen=True)
class Split:
    """One part of a set of photographs.

    Attributes:
        name: of the data set.
        source: what was read, without the path of this machine.
        class_names: labels are 0 to len(class_names) - 1.
        reader: of what is stored.
        fingerprint: 16 digits of a SHA-256 of what is used of it: equal where two runs saw the same photographs.
        indices: of the photographs that are used, in the order of the reader.
    """

    name: str
    source: str
    class_names: tuple[str, ...]
    reader: Reader
    fingerprint: str
    indices: np.ndarray

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def num_classes(self) -> int:
        """Labels are 0 to num_classes - 1."""
        return len(self.class_names)

    def place(self, index: int) -> str:
        """The path of photograph number `index`."""
        return self.reader.place(int(self.indices[index]))

    def photograph(self, index: int) -> tuple[Image.Image, int]:
        """Photograph number `index`, RGB at its own size, and its label.

        Raises:
            OSError: it cannot be read or decoded; one line with its path.
            ValueError: a label out of range.
        """
        example = self._example(index)
        return decode(example.image, self.place(index)), example.label

    def limited(self, limit: int | None) -> "Split":
        """At most `limit` photographs, spread evenly over the part: its order is often that of the classes."""
        return self if limit is None or limit >= len(self) else self._using(spread(len(self), limit))

    def without(self, bad: Sequence[int]) -> "Split":
        """All but some photographs."""
        return self._using(np.setdiff1d(np.arange(len(self)), bad)) if bad else self

    def bad(self, allowed: int, workers: int) -> list[tuple[int, str]]:
        """Reads every photograph once and gives number and error of those that cannot be decoded.

        Args:
            allowed: it stops after one more than these.
            workers: threads.
        """
        found = []
        for index, error in enumerate(in_order(self._error, range(len(self)), workers)):
            if error is not None:
                found.append((index, error))
                if len(found) > allowed:
                    break
        return found

    def _example(self, index: int) -> Example:
        example = self.reader.example(int(self.indices[index]))
        if not 0 <= example.label < len(self.class_names):
            raise InvalidValue(
                f"Labels are 0 to {len(self.class_names) - 1}. Received: {example.label} in {self.place(index)}."
            )
        return example

    def _error(self, index: int) -> str | None:
        try:
            verify(self._example(index).image, self.place(index))
        except InputOutput as error:
            return str(error)
        return None

    def _using(self, places: np.ndarray) -> "Split":
        indices = self.indices[places]
        digest = hashlib.sha256(self.fingerprint.encode() + indices.astype("<i8").tobytes())
        return replace(self, indices=indices, fingerprint=digest.hexdigest()[:16])


def load_split(data_dir: Path, part: Part) -> Split:
    """One part of the photographs that `--data-dir` names.

    Args:
        data_dir: holds `train` and `val` folders, or a prepared data set of TensorFlow Datasets.
        part: "train" or "val".

    Raises:
        OSError: neither is there, it cannot be read, or a class has no photograph.
    """
    try:
        if not data_dir.exists():
            raise InputOutput(f"{LAYOUT} Not found: {data_dir}.")
        if (data_dir / part).is_dir():
            return _folder(data_dir, part)
        found = [
            path.parent for depth in range(4) for path in sorted(data_dir.glob("*/" * depth + "dataset_info.json"))
        ]
    except OSError as error:
        if isinstance(error, InputOutput):
            raise
        raise InputOutput(
            f"--data-dir names a folder that can be read. Received: {error.filename or data_dir} ({error.strerror})."
        ) from None
    if len(found) > 1:
        found = [path for path in found if "imagenet2012" in path.parts] or found
    if len(found) > 1:
        names = ", ".join(str(path.relative_to(data_dir)) for path in found)
        raise InputOutput(f"--data-dir holds one data set. Received: {data_dir} with {names}. Name one of these.")
    if not found:
        there = " without val/" if part == "val" and (data_dir / "train").is_dir() else ""
        raise InputOutput(f"{LAYOUT} Received: {data_dir}{there}.")
    return _prepared(found[0], part)


def spread(images: int, limit: int) -> np.ndarray:
    """The places of `limit` of `images` images, evenly spread over all of them."""
    return np.arange(limit) * images // limit


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(work: Callable[[_Item], _Result], items: Iterable[_Item], workers: int) -> Iterator[_Result]:
    """Like `map`, in threads, with a few items begun ahead; `Executor.map` begins all of them at once."""
    pending: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(workers) as executor:
        try:
            for item in items:
                pending.append(executor.submit(work, item))
                if len(pending) > 4 * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            executor.shutdown(cancel_futures=True)


# A folder for each class.


@dataclass(frozen=True)
class _Files:
    root: Path
    names: tuple[str, ...]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def example(self, index: int) -> Example:
        path = self.root / self.names[index]
        try:
            return Example(path.read_bytes(), int(self.labels[index]))
        except OSError as error:
            raise InputOutput(
                f"A photograph is a file that can be read. Received: {path} ({error.strerror})."
            ) from None

    def place(self, index: int) -> str:
        return str(self.root / self.names[index])


def _folder(data_dir: Path, part: Part) -> Split:
    root = data_dir / part
    classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith("."))
    if not classes:
        raise InputOutput(f"{LAYOUT} Received: {root} without a folder in it.")
    digest = hashlib.sha256()
    names: list[str] = []
    labels: list[int] = []
    for label, class_name in enumerate(classes):
        found = sorted(_class_files(root / class_name))
        if not found:
            raise InputOutput(f"Each class has photographs. Received: {root / class_name}, which is empty.")
        for name, size in found:
            digest.update(f"{part}/{class_name}/{name}\t{size}\n".encode())
            names.append(f"{class_name}/{name}")
            labels.append(label)
    reader = _Files(root, tuple(names), np.array(labels, np.int32))
    name = data_dir.resolve().name
    return Split(name, f"folder {name}", tuple(classes), reader, digest.hexdigest()[:16], np.arange(len(names)))


def _class_files(folder: Path) -> Iterator[tuple[str, int]]:
    for entry in os.scandir(folder):
        if entry.name.startswith("."):
            continue
        if not entry.is_file() or not entry.name.lower().endswith(SUFFIXES):
            kinds = ", ".join(SUFFIXES)
            raise InputOutput(f"A class's folder holds image files ({kinds}). Received: {entry.path}. Move it away.")
        yield entry.name, entry.stat().st_size


# TensorFlow Datasets.


@dataclass(frozen=True)
class _Records:
    """Photographs of a prepared data set; `stored` gives an example's features, the image still encoded."""

    count: int
    stored: Callable[[int], Any]
    where: str

    def __len__(self) -> int:
        return self.count

    def example(self, index: int) -> Example:
        try:
            features = self.stored(index)
            return Example(bytes(features["image"]), int(features["label"]))
        except InputOutput:
            raise
        except Exception as error:  # whatever array_record and TensorFlow Datasets raise for damaged files
            lines = str(error).splitlines()
            raise InputOutput(
                f"{self.place(index)} could not be read ({lines[0] if lines else type(error).__name__})."
            ) from error

    def place(self, index: int) -> str:
        return f"image {index} of {self.where}"


def _prepared(folder: Path, part: Part) -> Split:
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise InputOutput(
            f'{folder} is read with tensorflow-datasets. Not installed: {error.name}. pip install "resnet_keras[data]"'
        ) from None
    try:
        builder = tfds.builder_from_directory(folder)
        info = builder.info
        split = next((name for name in TFDS_PARTS[part] if name in info.splits), None)
        features = {name: type(feature).__name__ for name, feature in info.features.items()}
    except Exception as error:  # a damaged dataset_info.json raises anything
        raise InputOutput(f"{folder} is no data set of TensorFlow Datasets ({str(error).splitlines()[0]}).") from error
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
        stored = builder.as_data_source(split=split, decoders=skip).__getitem__
    else:
        record = _tfrecords(info, split)
        deserialize = partial(info.features.deserialize_example_np, decoders=skip)

        def stored(index: int) -> Any:
            return deserialize(record(index))

    label = info.features["label"]
    digest = hashlib.sha256(f"{info.full_name} {split} {count}".encode()).hexdigest()
    return Split(
        name=info.name,
        source=f"TensorFlow Datasets {info.full_name}",
        class_names=tuple(label.names),
        reader=_Records(count, stored, f"{split} in {folder}"),
        fingerprint=digest[:16],
        indices=np.arange(count),
    )


def _tfrecords(info: Any, split: str) -> Callable[[int], bytes]:
    """Random access to TFRecord files, by the place of each record; tf.data reads them from start to end only.

    A record is its length (8 bytes, little endian), a checksum of it (4), the data, and its checksum (4).
    """
    if str(info.file_format.value) != "tfrecord":
        raise InputOutput(f"Photographs are read from array_record or TFRecord. Received: {info.file_format.value}.")
    paths = [Path(path) for path in info.splits[split].filepaths]
    places: list[np.ndarray] = []
    for path, expected in zip(paths, info.splits[split].shard_lengths, strict=True):
        places.append(_record_places(path))
        if len(places[-1]) != expected:
            raise InputOutput(f"{path} holds {expected} photographs. Received: {len(places[-1])}; it was cut.")
    ends = list(accumulate(len(shard) for shard in places))

    def record(index: int) -> bytes:
        shard = bisect_right(ends, index)
        start, length = places[shard][index - (ends[shard - 1] if shard else 0)].tolist()
        with paths[shard].open("rb") as file:
            file.seek(start)
            return file.read(length)

    return record


def _record_places(path: Path) -> np.ndarray:
    """(records, 2): where each record's data starts, and its length."""
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
            raise InputOutput(f"A TFRecord file ends with a whole record. Received: {path}, which was cut or damaged.")
    except struct.error:
        raise InputOutput(f"A TFRecord file ends with a whole record. Received: {path}, which was cut.") from None
    except OSError as error:
        if isinstance(error, InputOutput):
            raise
        raise InputOutput(f"{path} could not be read ({error.strerror}).") from None
    return np.array(found, np.int64).reshape(-1, 2)

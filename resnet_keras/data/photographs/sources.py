"""Where photographs come from: a folder for each class, or a data set prepared by TensorFlow Datasets.

train/<class>/*  val/<class>/*      any image files; classes in alphabetical order, as in every port
imagenet2012/<version>/             array_record or TFRecord files; TensorFlow is not imported for either
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from resnet_keras.data.choice import LAYOUT, choose
from resnet_keras.data.photographs import decoding
from resnet_keras.data.photographs.split import Example, Part, Split
from resnet_keras.data.photographs.tfds import prepared
from resnet_keras.errors import InputOutput, readable

SUFFIXES = (".jpeg", ".jpg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
IMAGENET = "imagenet2012"
"""TensorFlow Datasets' name for it."""


def load_split(data_dir: str | PathLike[str], part: Part, dataset: str | None = None) -> Split:
    """One part of the photographs that `--data-dir` and `--dataset` name.

    Args:
        data_dir: holds `train` and `val` folders, or data sets prepared by TensorFlow Datasets.
        part: "train" or "val".
        dataset: which of these data sets; None means imagenet2012, or the only one.

    Raises:
        OSError: neither is there, it cannot be read, or a class has no photograph.
    """
    data_dir = Path(data_dir)
    found = choose(data_dir, dataset, usual=IMAGENET)
    if found.kind == "prepared":
        return prepared(found.path, part)
    if found.kind != "photographs" or not (data_dir / part).is_dir():
        there = f" without {part}/" if found.kind == "photographs" else ""
        raise InputOutput(f"{LAYOUT} Received: {data_dir}{there}.")
    try:
        return _folder(data_dir, part)
    except OSError as error:
        if isinstance(error, InputOutput):
            raise
        raise InputOutput(
            f"--data-dir names a readable folder. Received: {error.filename or data_dir} ({error.strerror})."
        ) from None


@dataclass(frozen=True)
class _Files:
    root: Path
    names: tuple[str, ...]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def example(self, index: int) -> Example:
        return Example(decoding.read(self.root / self.names[index]), int(self.labels[index]))

    def examples(self) -> Iterator[Example]:
        return map(self.example, range(len(self)))

    def location(self, index: int) -> str:
        return str(self.root / self.names[index])


def _folder(data_dir: Path, part: Part) -> Split:
    root = data_dir / part
    classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith("."))
    if not classes:
        raise InputOutput(f"{LAYOUT} Received: {root} with no folder in it.")
    digest = hashlib.sha256()
    names: list[str] = []
    labels: list[int] = []
    for label, class_name in enumerate(classes):
        found = sorted(_class_files(root / class_name))
        if not found:
            raise InputOutput(f"Each class has photographs. Received: {root / class_name}, which is empty.")
        for name, size in found:
            digest.update(os.fsencode(f"{part}/{class_name}/{name}\t{size}\n"))
            names.append(f"{class_name}/{name}")
            labels.append(label)
    reader = _Files(root, tuple(names), np.array(labels, np.int32))
    name = readable(data_dir.resolve().name)
    return Split(name, f"folder {name}", tuple(classes), reader, digest.hexdigest()[:16], np.arange(len(names)))


def _class_files(folder: Path) -> Iterator[tuple[str, int]]:
    for entry in os.scandir(folder):
        if entry.name.startswith("."):
            continue
        if not entry.is_file() or not entry.name.lower().endswith(SUFFIXES):
            kinds = ", ".join(SUFFIXES)
            raise InputOutput(
                f"A class folder holds only image files ({kinds}). Received: {entry.path}. Move it elsewhere."
            )
        yield entry.name, entry.stat().st_size

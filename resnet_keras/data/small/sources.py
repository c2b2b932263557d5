"""Where small images come from: CIFAR-10 in any of its usual forms, other TensorFlow Datasets sets, `.npz`."""

import hashlib
import io
import os
import sys
import urllib.error
import urllib.request
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from resnet_keras.data.choice import Choice, choose, cifar10_files, prepared_sets
from resnet_keras.data.small import arrays, batches
from resnet_keras.data.small.cache import aside, cached
from resnet_keras.data.small.held_out import CIFAR10_VALIDATION
from resnet_keras.data.small.images import ImageData, image_data
from resnet_keras.data.small.recognition import recognised
from resnet_keras.errors import InputOutput, first_line

if TYPE_CHECKING:
    from resnet_keras.data.photographs.split import Split

CIFAR10 = "cifar10"
"""TensorFlow Datasets' name for it."""
URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
"""Hash of that archive, as in `keras.datasets.cifar10`, which needs a backend and unpickles what it reads."""
SECONDS = 10.0
"""Seconds without a byte after which a download is abandoned."""
_BLOCK = 1 << 20


class NotAvailable(InputOutput):
    """The images are neither on disk nor reachable."""


def load(
    data_dir: str | PathLike[str] | None = None, dataset: str | None = None, *, all_images: bool = False
) -> ImageData:
    """The images that `--data-dir` and `--dataset` name.

    CIFAR-10 is recognised by its images: from every source it has the same order and split. Images that are slow to
    decode are kept for the next start: see `data.small.cache`.

    Args:
        data_dir: see `data.choice`. None means TensorFlow Datasets' own folder (`TFDS_DATA_DIR`, else
            ~/tensorflow_datasets) and then, for CIFAR-10, Keras's (`KERAS_HOME`, else ~/.keras), into which it is
            downloaded if it is in neither.
        dataset: which TensorFlow Datasets set; None means CIFAR-10, or the only one in a folder.
        all_images: whether to train on the images too that are otherwise held out.

    Raises:
        OSError: nothing is there and it cannot be downloaded, or files cannot be read.
        ValueError: images or labels are out of range.
    """
    found = _found(data_dir, dataset)
    if found is None:
        found = Choice("cifar10 files", _downloaded())
    data = _read(found)
    return data.all_to_train_on() if all_images else data


def _read(found: Choice) -> ImageData:
    match found.kind:
        case "arrays":  # not cached: a copy would read no faster
            return recognised(arrays.read(found.path))
        case "cifar10 files":
            return cached(found.path, batches.files(found.path), lambda: recognised(batches.read(found.path)))
        case "prepared":
            inside = sorted(path for path in found.path.iterdir() if path.is_file())
            return cached(found.path, inside, lambda: recognised(_prepared(found.path)))
        case "photographs":
            raise InputOutput(
                "Small images are CIFAR-10, a data set prepared by TensorFlow Datasets or .npz files. "
                f"Received: {found.path}, which holds photographs. recipes/imagenet.py trains on those."
            )


def check_folder(data_dir: str | PathLike[str] | None, dataset: str | None = None) -> None:
    """Checks, before any long work, that what the user named is there.

    Raises:
        OSError: it is not.
    """
    _found(data_dir, dataset)


def _found(data_dir: str | PathLike[str] | None, dataset: str | None) -> Choice | None:
    """What to read; None if CIFAR-10 has to be downloaded."""
    if data_dir is not None:
        return choose(Path(data_dir), dataset, usual=CIFAR10)
    folder = Path(os.environ.get("TFDS_DATA_DIR") or _home("tensorflow_datasets"))
    name = dataset or CIFAR10
    if name in prepared_sets(folder) and (name != CIFAR10 or find_spec("tensorflow_datasets") is not None):
        return choose(folder, name)
    if name != CIFAR10:
        raise NotAvailable(
            f"--dataset names a data set prepared by TensorFlow Datasets. Received: {name}, not in {folder}. Prepare "
            f"it: python -c \"import tensorflow_datasets as tfds; tfds.builder('{name}', file_format='array_record')"
            '.download_and_prepare()"'
        )
    kept = cifar10_files(_keras_folder())
    return None if kept is None else Choice("cifar10 files", kept)


def _home(name: str) -> str:
    return os.path.expanduser(f"~/{name}")  # noqa: PTH111  # without a home, as Keras


def _keras_folder() -> Path:
    return Path(os.environ.get("KERAS_HOME") or _home(".keras")) / "datasets"


def _downloaded() -> Path:
    """CIFAR-10's archive, in Keras's folder."""
    target = _keras_folder() / "cifar-10-python.tar.gz"
    hint = "Give its path with --data-dir, or download it elsewhere: " + URL
    try:
        with urllib.request.urlopen(URL, timeout=SECONDS) as response:
            print(f"downloading CIFAR-10 from {URL} to {target}", file=sys.stderr)
            target.parent.mkdir(parents=True, exist_ok=True)
            digest = hashlib.sha256()
            with aside(target) as new:
                with new.open("wb") as file:
                    while block := response.read(_BLOCK):
                        digest.update(block)
                        file.write(block)
                if digest.hexdigest() != SHA256:
                    raise OSError(f"it has a different SHA-256, {digest.hexdigest()[:12]}...")
    except (OSError, urllib.error.URLError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise NotAvailable(
            f"CIFAR-10 is read from TensorFlow Datasets' folder or from {target.parent}, or downloaded. It is in "
            f"neither, and the download failed ({reason}). {hint}"
        ) from None
    return target


def _prepared(folder: Path) -> ImageData:
    """A prepared set of small images, from array_record or TFRecord files, both without TensorFlow."""
    try:
        from resnet_keras.data.photographs.tfds import prepared
    except ImportError as error:
        raise InputOutput(
            f'{folder} is read with Pillow. Not installed: {error.name}. Install it: pip install -e ".[data]"'
        ) from None
    train, test = prepared(folder, "train"), prepared(folder, "test")
    name = train.name
    return image_data(
        name="CIFAR-10" if name == CIFAR10 else name,
        source=train.source,
        train=_decoded(train),
        test=_decoded(test),
        class_names=train.class_names,
        validation=min(CIFAR10_VALIDATION, len(train) // 2) if name == CIFAR10 else None,
    )


def _decoded(part: "Split") -> tuple[np.ndarray, np.ndarray]:
    """Every image and label of a part, in memory; grey images as RGB."""
    from PIL import Image

    y = np.empty(len(part), np.int32)
    x = np.empty(0, np.uint8)
    for index, example in enumerate(part.reader.examples()):
        try:
            image = np.asarray(Image.open(io.BytesIO(example.image)).convert("RGB"))
        except Exception as error:  # whatever Pillow raises for damaged files
            raise InputOutput(f"{part.location(index)} could not be read ({first_line(error)}).") from error
        if not index:
            if image.shape[0] != image.shape[1]:
                raise InputOutput(f"Small images are square. Received: {image.shape[:2]} in {part.source}.")
            x = np.empty((len(part), *image.shape), np.uint8)
        if image.shape != x.shape[1:]:
            raise InputOutput(
                f"Small images all have the same size. Received: {x.shape[1:3]} and {image.shape[:2]} in "
                f"{part.source}. recipes/imagenet.py trains on photographs of any size."
            )
        x[index], y[index] = image, example.label
    return x, y

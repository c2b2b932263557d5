"""Folders of small made-up photographs, and what TensorFlow Datasets makes of them."""

from pathlib import Path

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")

CLASSES = ("n01", "n02", "n03")
IMAGES = 13
"""In each class of the training part; a prime, so that few batch sizes divide an epoch."""


def picture(seed, height=40, width=56):
    blobs = np.random.default_rng(seed).integers(0, 256, (5, 5, 3)).astype(np.uint8)
    return Image.fromarray(blobs).resize((width, height), Image.Resampling.BICUBIC)


def write_folder(root: Path, images: int = IMAGES) -> Path:
    for part, count in (("train", images), ("val", 2)):
        for label, name in enumerate(CLASSES):
            folder = root / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                sides = (40, 56) if number % 2 else (60, 44)
                picture(1000 * label + number + (part == "val") * 500, *sides).save(folder / f"{number:03}.JPEG")
    return root


def prepare(target: Path, folder: Path, file_format: str, limit: int | None = None) -> Path:
    """The photographs of a folder, written by TensorFlow Datasets itself in a given format."""
    tfds = pytest.importorskip("tensorflow_datasets")
    images = {}
    for name, part in (("train", "train"), ("validation", "val")):
        classes = enumerate(sorted((folder / part).iterdir()))
        files = [(label, path) for label, of in classes for path in sorted(of.iterdir())[:limit]]
        images[name] = [
            (number, {"file_name": path.name, "image": path.read_bytes(), "label": label})
            for number, (label, path) in enumerate(files)
        ]
    names = [path.name for path in sorted((folder / "val").iterdir())]
    target.mkdir(parents=True)
    tfds.dataset_builders.store_as_tfds_dataset(
        name="imagenet2012",
        version="5.1.0",
        features=tfds.features.FeaturesDict(
            {
                "file_name": tfds.features.Text(),
                "image": tfds.features.Image(encoding_format="jpeg"),
                "label": tfds.features.ClassLabel(names=names),
            }
        ),
        split_datasets=images,
        data_dir=target,
        file_format=file_format,
    )
    return target

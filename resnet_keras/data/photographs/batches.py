"""`Photographs`: a set too large for memory, read, decoded and augmented while a net trains (section 3.4)."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from os import PathLike
from pathlib import Path, PurePath

import numpy as np

from resnet_keras.data.choice import LAYOUT
from resnet_keras.data.dataset import Batch, Batches, Description, TrainingBatches
from resnet_keras.data.photographs.augmentation import augmented, draw
from resnet_keras.data.photographs.sources import load_split
from resnet_keras.data.photographs.split import Split, spread
from resnet_keras.data.photographs.views import SingleView
from resnet_keras.data.small.stream import order
from resnet_keras.data.threads import MAX_WORKERS, Prefetch, available_cores, in_order
from resnet_keras.errors import InvalidValue, readable
from resnet_keras.spec.augmentation import PaddedCrop, ScaledCrop
from resnet_keras.spec.paper_recipes import IMAGENET

BATCHES_AHEAD = 2
"""Batches made ahead of time: one waiting, one being made."""
MEAN_IMAGES = 10_000
"""Photographs that the channel mean is taken over; its standard error is below half a grey level of 255."""

EVALUATION_BATCH = 100
"""Divides ImageNet's 50,000 photographs, so a compiled net sees one shape."""
_Item = tuple[int, int]  # epoch and index of a photograph


@dataclass(frozen=True)
class Photographs:
    """Photographs for training and validation.

    Attributes:
        train, validation: the parts that they come from.
        image_size: side of the net's input images, in pixels.
        skipped: paths of the damaged photographs left out.
        workers: number of decoding threads.
    """

    train: Split
    validation: Split
    image_size: int
    skipped: tuple[str, ...] = ()
    workers: int = field(default_factory=available_cores)

    @property
    def description(self) -> Description:
        """What `run.json` records about the data. The validation photographs are also those that the paper tests on."""
        both = self.train.fingerprint + self.validation.fingerprint
        return Description(
            name=self.train.name,
            source=self.train.source,
            generated=False,
            fingerprint=hashlib.sha256(both.encode()).hexdigest()[:16],
            num_classes=self.train.num_classes,
            image_size=self.image_size,
            train_images=len(self.train),
            validation_images=len(self.validation),
            test_images=0,
            skipped=self.skipped,
            class_names=self.train.known_classes,
        )

    def stream(
        self,
        batch_size: int,
        seed: int,
        augmentation: PaddedCrop | ScaledCrop = IMAGENET.augmentation,
        rows: range | None = None,
    ) -> "PhotographStream":
        """Training batches: resized, cropped, mirrored and colour-shifted."""
        if not isinstance(augmentation, ScaledCrop):
            raise InvalidValue(
                f"Photographs are resized and cropped. Received: {augmentation!r} for {self.train.name}."
            )
        return PhotographStream(self.train, self.image_size, batch_size, seed, augmentation, self.workers, rows)

    def validation_batches(self, batch_size: int = EVALUATION_BATCH) -> "CentreCrops":
        """Centre crops of the validation photographs, in the order of the data set."""
        return CentreCrops(self.validation, self.image_size, batch_size, self.workers)

    def test_batches(self) -> None:
        """None: protocols test on the validation photographs, with `recipes/evaluate.py`."""

    def training_crops(self, images: int) -> Iterator[np.ndarray]:
        """Centre crops of at most `images` training photographs, evenly spread: (size, size, 3) each, uint8."""
        view = SingleView(self.image_size)
        indices = spread(len(self.train), min(images, len(self.train))).tolist()
        return in_order(lambda index: view.of(self.train.photograph(index)[0])[0], indices, self.workers)

    def mean(self) -> np.ndarray:
        """The mean of R, G and B over centre crops of training photographs: (3,), on a scale of 0..255."""
        total, count = np.zeros(3), 0
        for pixels in self.training_crops(MEAN_IMAGES):
            total += pixels.mean(axis=(0, 1), dtype=np.float64)
            count += 1
        return total / count


def load(
    data_dir: str | PathLike[str],
    image_size: int = 224,
    *,
    dataset: str | None = None,
    num_classes: int | None = None,
    skip_bad: int = 0,
    workers: int | None = None,
) -> Photographs:
    """The photographs that `--data-dir` names.

    Args:
        data_dir: holds `train/<class>/*` and `val/<class>/*`, or a data set prepared by TensorFlow Datasets.
        image_size: side of the crops, in pixels.
        dataset: which set in a TensorFlow Datasets folder; None means imagenet2012, or the only one.
        num_classes: required number of classes; None accepts what is there.
        skip_bad: leave out up to this many damaged photographs. All are read once to find them, so that every run
            leaves out the same ones. With 0, nothing is read before it is needed and the first damaged one is an error.
        workers: number of decoding threads; None means one per core.

    Raises:
        OSError: folders or files are missing or cannot be read, or more than `skip_bad` photographs are damaged.
        ValueError: classes differ between the parts or from `num_classes`, or a number is out of range.
    """
    if image_size < 1 or skip_bad < 0 or not (workers is None or 1 <= workers <= MAX_WORKERS):
        raise InvalidValue(
            f"Sizes are 1 or more, workers 1 to {MAX_WORKERS:,}, and photographs to skip 0 or more. "
            f"Received: image_size={image_size}, workers={workers}, skip_bad={skip_bad}."
        )
    data_dir = Path(data_dir)
    train, validation = load_split(data_dir, "train", dataset), load_split(data_dir, "val", dataset)
    _check_classes(data_dir, train, validation, num_classes)
    workers = workers or available_cores()
    skipped: list[str] = []
    if skip_bad:
        train, bad = train.repaired(skip_bad, workers)
        validation, others = validation.repaired(skip_bad - len(bad), workers, skip_bad)
        skipped = [*bad, *others]
    below = tuple(readable(_below(data_dir, path)) for path in skipped)
    return Photographs(train, validation, image_size, below, workers)


def _below(data_dir: PurePath, location: str) -> str:
    """The location without this machine's path: `run.json` is compared between machines.

    Args:
        data_dir: what the user named.
        location: where a photograph is, as its split reports it: a path, or "image 3 of val in <path>".
    """
    before, inside, text = location.rpartition(" in ")
    for start, path in ((before + inside, text), ("", location)):
        place = type(data_dir)(path)
        if place.is_relative_to(data_dir):
            below = place.relative_to(data_dir).as_posix()
            return f"{start}{below}" if below != "." else before
    return location


def _check_classes(data_dir: Path, train: Split, validation: Split, num_classes: int | None) -> None:
    differing = sorted(set(train.class_names) ^ set(validation.class_names))
    if differing:
        first = differing[0]
        there, missing = ("train", "val") if first in train.class_names else ("val", "train")
        raise InvalidValue(
            f"Training and validation have the same classes. Received: {data_dir / there / first} without "
            f"{data_dir / missing / first}{f', and {len(differing) - 1} more' if len(differing) > 1 else ''}."
        )
    found = len(train.class_names)
    if found < 2:
        raise InvalidValue(f"A classifier needs at least two classes. Received: {found} in {data_dir}.")
    if num_classes is not None and num_classes != found:
        raise InvalidValue(f"{LAYOUT} Received: {found} classes in {data_dir}, where {num_classes} are expected.")


def _stacked(made: Sequence[tuple[np.ndarray, int]]) -> Batch:
    images, labels = zip(*made, strict=True)
    return np.stack(images), np.array(labels, np.int32)


class PhotographStream(TrainingBatches):
    """An endless sequence of training batches; an epoch's last batch is filled from the next epoch.

    Args:
        split: the training photographs.
        image_size: side of the crops, in pixels.
        batch_size: photographs per batch.
        seed: random seed of order and augmentation.
        augmentation: how each photograph is augmented.
        workers: number of decoding threads.
        rows: the rows of each batch to read; None reads all.
    """

    def __init__(
        self,
        split: Split,
        image_size: int,
        batch_size: int,
        seed: int,
        augmentation: ScaledCrop,
        workers: int,
        rows: range | None = None,
    ) -> None:
        self._split, self._size, self._seed, self._augmentation = split, image_size, seed, augmentation
        self.batch_size, self._rows = batch_size, rows or range(batch_size)
        self._order = lru_cache(maxsize=2)(order)
        self._prefetch = Prefetch(self._items, self._make, ahead=BATCHES_AHEAD, workers=workers)

    def batch(self, iteration: int) -> Batch:
        """The crops and labels of update number `iteration`, counted from 0; starts on those that follow.

        Returns:
            uint8 of shape (rows, size, size, 3) and int32 of shape (rows,).

        Raises:
            OSError: a photograph cannot be read or decoded; a one-line message with its path.
        """
        return _stacked(self._prefetch.take(iteration))

    def close(self) -> None:
        """Stops the threads; nothing else is lost."""
        self._prefetch.close()

    def _items(self, iteration: int) -> list[_Item]:
        images = len(self._split)
        positions = (iteration * self.batch_size + row for row in self._rows)
        return [
            (position // images, int(self._order(self._seed, position // images, images)[position % images]))
            for position in positions
        ]

    def _make(self, item: _Item) -> tuple[np.ndarray, int]:
        epoch, index = item
        image, label = self._split.photograph(index)
        return augmented(image, draw(self._augmentation, self._seed, epoch, index, self._size), self._size), label


class CentreCrops(Batches):
    """Batches of centre crops, as a sequence that can be iterated over repeatedly.

    Args:
        split: the photographs; its order is kept.
        image_size: side of the crops, in pixels; the photograph's shorter side is first resized to 256 / 224 of it.
        batch_size: photographs per batch; the last batch may be smaller.
        workers: number of decoding threads.
    """

    def __init__(self, split: Split, image_size: int, batch_size: int, workers: int) -> None:
        super().__init__(len(split), batch_size)
        self._split, self._view, self._workers = split, SingleView(image_size), workers
        self._prefetch = Prefetch(self.indices, self._make, ahead=BATCHES_AHEAD, workers=workers)

    def batch(self, indices: range) -> Batch:
        """The crops and labels; starts on those of the batches that follow."""
        return _stacked(self._prefetch.take(indices.start // self._batch_size))

    def share(self, images: range) -> "CentreCrops":
        """As `Batches.share`; no other photograph is read."""
        part = replace(self._split, indices=self._split.indices[images.start : images.stop])
        return CentreCrops(part, self._view.size, self._batch_size, self._workers)

    def close(self) -> None:
        """Stops the threads; nothing else is lost."""
        self._prefetch.close()

    def _make(self, index: int) -> tuple[np.ndarray, int]:
        image, label = self._split.photograph(index)
        return self._view.of(image)[0], label

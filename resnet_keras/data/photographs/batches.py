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
"""Batches that are made before they are asked for: one to wait, one in the making."""
MEAN_IMAGES = 10_000
"""Photographs behind the channel mean: its standard error is below half a grey level of 255."""

EVALUATION_BATCH = 100
"""Divides ImageNet's 50,000 photographs, so a compiled net sees one shape."""
_Item = tuple[int, int]  # epoch and index of a photograph


@dataclass(frozen=True)
class Photographs:
    """Photographs for training and validation.

    Attributes:
        train, validation: where they come from.
        image_size: side of what the net is given, in pixels.
        skipped: the paths of the damaged ones that are left out.
        workers: threads that decode.
    """

    train: Split
    validation: Split
    image_size: int
    skipped: tuple[str, ...] = ()
    workers: int = field(default_factory=available_cores)

    @property
    def description(self) -> Description:
        """What `run.json` keeps of it. The validation photographs are also what the paper tests on."""
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
        """Training batches: resized, cropped, mirrored, with a colour shift."""
        if not isinstance(augmentation, ScaledCrop):
            raise InvalidValue(
                f"Photographs are resized and cropped. Received: {augmentation!r} for {self.train.name}."
            )
        return PhotographStream(self.train, self.image_size, batch_size, seed, augmentation, self.workers, rows)

    def validation_batches(self, batch_size: int = EVALUATION_BATCH) -> "CentreCrops":
        """The validation photographs' centre crops, in the order of the data set."""
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
        data_dir: holds `train/<class>/*` and `val/<class>/*`, or a prepared data set of TensorFlow Datasets.
        image_size: side of the crops, in pixels.
        dataset: which set of a folder of TensorFlow Datasets; None is imagenet2012, or the only one.
        num_classes: how many classes there have to be; None takes what is there.
        skip_bad: up to this many damaged photographs are left out. All are read once to find them, so that every run
            leaves out the same. With 0 nothing is read before it is needed, and the first damaged one is an error.
        workers: threads that decode; None is one for each core.

    Raises:
        OSError: folders or files that are not there or cannot be read, or more than `skip_bad` damaged photographs.
        ValueError: classes that differ between the parts or from `num_classes`, or a number out of range.
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
    """Without the path of this machine: `run.json` is compared between machines.

    Args:
        data_dir: what the user named.
        location: of a photograph, as its split says it: a path, or "image 3 of val in <path>".
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
        raise InvalidValue(f"A classifier needs two classes. Received: {found} in {data_dir}.")
    if num_classes is not None and num_classes != found:
        raise InvalidValue(f"{LAYOUT} Received: {found} classes in {data_dir}, where {num_classes} are asked for.")


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
        augmentation: of each photograph.
        workers: threads that decode.
        rows: of each batch, those that are read; None is all.
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
        """The crops and labels of update number `iteration`, counted from 0; those that follow are begun.

        Returns:
            uint8 of shape (rows, size, size, 3) and int32 of shape (rows,).

        Raises:
            OSError: a photograph that cannot be read or decoded; one line with its path.
        """
        return _stacked(self._prefetch.take(iteration))

    def close(self) -> None:
        """Ends the threads; nothing else is lost."""
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
    """Batches of centre crops: a sequence that can be gone through again and again.

    Args:
        split: the photographs, in its order.
        image_size: side of the crops, in pixels; the shorter side is 256 / 224 of it before.
        batch_size: photographs per batch; the last may have fewer.
        workers: threads that decode.
    """

    def __init__(self, split: Split, image_size: int, batch_size: int, workers: int) -> None:
        super().__init__(len(split), batch_size)
        self._split, self._view, self._workers = split, SingleView(image_size), workers
        self._prefetch = Prefetch(self.indices, self._make, ahead=BATCHES_AHEAD, workers=workers)

    def batch(self, indices: range) -> Batch:
        """The crops and labels; those of the batches that follow are begun."""
        return _stacked(self._prefetch.take(indices.start // self._batch_size))

    def share(self, images: range) -> "CentreCrops":
        """As `Batches.share`; no other photograph is read."""
        part = replace(self._split, indices=self._split.indices[images.start : images.stop])
        return CentreCrops(part, self._view.size, self._batch_size, self._workers)

    def close(self) -> None:
        """Ends the threads; nothing else is lost."""
        self._prefetch.close()

    def _make(self, index: int) -> tuple[np.ndarray, int]:
        image, label = self._split.photograph(index)
        return self._view.of(image)[0], label

"""What training needs from a set of images, whatever its source: `ImageData` in memory, `Photographs` on disk."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from resnet_keras.spec.augmentation import PaddedCrop, ScaledCrop
from resnet_keras.spec.class_names import ClassNames

Batch = tuple[np.ndarray, np.ndarray]
"""uint8 (n, size, size, 3) and int32 (n,)."""


@dataclass(frozen=True)
class Description:
    """What a header, a figure and `run.json` say about a data set.

    Attributes:
        name: the name shown on screen and in figures.
        source: what was read, without this machine's path, or how the images were generated.
        generated: True for the stand-in that is not a real data set.
        fingerprint: 16 digits of a SHA-256, equal if two runs saw the same data.
        num_classes: labels are 0 to num_classes - 1.
        image_size: side of the net's input images, in pixels.
        train_images, validation_images, test_images: number of images in each part.
        skipped: paths of the damaged images left out.
        class_names: what the labels mean; None if unknown.
        warnings: one line about each thing that may be unintended.
    """

    name: str
    source: str
    generated: bool
    fingerprint: str
    num_classes: int
    image_size: int
    train_images: int
    validation_images: int
    test_images: int
    skipped: tuple[str, ...] = ()
    class_names: ClassNames | None = None
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The fields, for `run.json`."""
        return asdict(self)


class TrainingBatches(ABC):
    """An endless sequence of augmented batches; an epoch's last batch is filled from the next epoch."""

    @abstractmethod
    def batch(self, iteration: int) -> Batch:
        """Batch number `iteration`, counted from 0: a pure function of that number."""

    def close(self) -> None:
        """Stops any work done ahead."""
        return  # there is none for images in memory


class Batches(Sequence[Batch]):
    """Batches of unaugmented images, in the order of the data set; the last batch may be smaller.

    Args:
        images: number of images.
        batch_size: images per batch.
    """

    def __init__(self, images: int, batch_size: int) -> None:
        self._images, self._batch_size = images, batch_size

    @abstractmethod
    def batch(self, indices: range) -> Batch:
        """The images at these indices."""

    @abstractmethod
    def share(self, images: range) -> "Batches":
        """Batches of these images alone."""

    @property
    def images(self) -> int:
        """Number of images."""
        return self._images

    def __len__(self) -> int:
        return -(-self._images // self._batch_size)

    def indices(self, number: int) -> range:
        """Indices of the images in batch `number`; empty after the last batch."""
        first = number * self._batch_size
        return range(first, min(first + self._batch_size, self._images))

    def __getitem__(self, number: int) -> Batch:  # type: ignore[override]  # one batch, no slices
        if not 0 <= number < len(self):
            raise IndexError(number)
        return self.batch(self.indices(number))

    def close(self) -> None:
        """Stops any work done ahead."""
        return  # there is none for images in memory


class Dataset(Protocol):
    """Training images, held-out images and, for some data sets, a separate test set."""

    @property
    def description(self) -> Description: ...

    def stream(
        self, batch_size: int, seed: int, augmentation: PaddedCrop | ScaledCrop, rows: range | None = None
    ) -> TrainingBatches:
        """Training batches; order and augmentation depend on the seed alone.

        Args:
            batch_size: images per batch.
            seed: random seed of order and augmentation.
            augmentation: how each image is augmented.
            rows: the rows of each batch to make; None makes all.

        Raises:
            ValueError: the augmentation is not meant for these images.
        """
        ...

    def validation_batches(self) -> Batches:
        """The held-out images."""
        ...

    def test_batches(self) -> Batches | None:
        """The test images, or None where there are none."""
        ...

    def mean(self) -> np.ndarray:
        """The mean that the net subtracts, per pixel (size, size, 3) or per channel (3,), on a scale of 0..255."""
        ...

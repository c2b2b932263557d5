"""The images that nets are measured on, as in a 1-crop test: without augmentation, in batches."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from resnet_keras.data import part as data_part
from resnet_keras.data.dataset import Batch
from resnet_keras.data.photographs.resizing import NET_SIZE
from resnet_keras.data.photographs.split import Split, spread
from resnet_keras.data.photographs.views import SingleView
from resnet_keras.data.small.images import ImageData
from resnet_keras.data.threads import available_cores, in_order
from resnet_keras.errors import InvalidValue
from resnet_keras.spec.class_names import ClassNames, check_same_classes

Part = Literal["train", "test"]
BATCH_PIXELS = 8 * NET_SIZE**2
"""Most pixels in a batch: with 8 photographs of 224 pixels, responses of a ResNet-50 take 1.8 GB, gradients 4.9 GB."""


@dataclass(frozen=True)
class Batches:
    """Batches that are read on demand: photographs need not fit in memory.

    Attributes:
        source: photographs, or images and labels in memory.
        places: indices of the images of each batch.
        size: side of an image in pixels.
    """

    source: Split | Batch
    places: tuple[np.ndarray, ...]
    size: int

    def __len__(self) -> int:
        return len(self.places)

    @property
    def images(self) -> int:
        """Number of images in all batches."""
        return sum(len(places) for places in self.places)

    def __iter__(self) -> Iterator[Batch]:
        return map(self._read, self.places)

    def _read(self, places: np.ndarray) -> Batch:
        if not isinstance(self.source, Split):
            x, y = self.source
            return x[places], y[places]
        split, view = self.source, SingleView(self.size)

        def shown(index: int) -> tuple[np.ndarray, int]:
            photograph, label = split.photograph(index)
            return view.of(photograph)[0], label

        images, labels = zip(*in_order(shown, places.tolist(), available_cores()), strict=True)
        return np.stack(images), np.array(labels, np.int32)


@dataclass(frozen=True)
class Images:
    """Training or test images for nets of any size.

    Attributes:
        data: in memory, or photographs of that part.
        part: which of the two are taken.
        limit: most images taken, evenly spread over the part; None is all.
    """

    data: ImageData | Split
    part: Part
    limit: int | None

    def batches(
        self, size: int, num_classes: int, most: int, *, net: str = "a net", class_names: ClassNames | None = None
    ) -> Batches:
        """Batches whose lengths differ by at most one.

        Args:
            size: side in pixels of the net's input.
            num_classes: number of classes of the net.
            most: most images in a batch; fewer where images are large.
            net: name of the net, for the error message.
            class_names: those of the net; None if unknown.

        Raises:
            ValueError: the images have other classes, or a size that cannot be averaged to that of the net.
        """
        check_same_classes(net, class_names, self.data.name, self.data.known_classes)
        if num_classes != self.data.num_classes:
            raise InvalidValue(
                f"Net and data have the same classes. Received: {net} with {num_classes}, {self.data.name} with "
                f"{self.data.num_classes}. Choose other images with --data-dir."
            )
        if isinstance(self.data, Split):
            source: Split | Batch = self.data
            there = len(self.data)
        else:
            data = self.data.averaged_to(size)
            source = (data.x_train, data.y_train) if self.part == "train" else (data.x_test, data.y_test)
            there = len(source[0])
        count = min(self.limit or there, there)
        most = max(1, min(most, BATCH_PIXELS // size**2))
        parts = np.array_split(spread(there, count), -(-count // most))
        return Batches(source, tuple(parts), size)


def load(data_dir: Path | None, part: Part, limit: int | None, dataset: str | None = None) -> Images:
    """The images that `--data-dir` and `--dataset` name: small ones in memory, everything else as photographs.

    Raises:
        OSError: nothing is there, or files cannot be read.
        ValueError: images or labels are out of range, or the limit is below 1.
    """
    if limit is not None and limit < 1:
        raise InvalidValue(f"At least 1 image is measured. Received: --limit {limit}.")
    return Images(data_part.load(data_dir, "train" if part == "train" else "val", dataset), part, limit)

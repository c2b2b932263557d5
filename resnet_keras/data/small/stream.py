"""The order of training images and their augmentation (section 4.2), as pure functions of (seed, epoch, index).

Keras's own are not used: `fit(shuffle=True)` repeats one order on TensorFlow under a global seed, and `RandomCrop`
draws one offset for a whole batch. Here every backend sees the same images, and a run can resume from any iteration.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from resnet_keras.data.dataset import Batch, TrainingBatches
from resnet_keras.spec.augmentation import PaddedCrop

ORDER, AUGMENTATION = 0, 1
"""Independent streams of random numbers."""


class Augmentation(NamedTuple):
    """For each image of an epoch: where its crop lies in the padded image, in pixels, and whether it is mirrored."""

    top: np.ndarray
    left: np.ndarray
    mirrored: np.ndarray


def order(seed: int, epoch: int, images: int) -> np.ndarray:
    """The index of the image at each position of an epoch: a permutation of 0 .. images - 1."""
    return np.random.default_rng([ORDER, seed, epoch]).permutation(images)


def augmentation(seed: int, epoch: int, images: int, pad: int) -> Augmentation:
    """Section 4.2: a random crop of the image padded by `pad` pixels on each side, or of its mirror image."""
    random = np.random.default_rng([AUGMENTATION, seed, epoch])
    top, left = random.integers(0, 2 * pad + 1, size=(2, images))
    return Augmentation(top, left, random.random(images) < 0.5)


@dataclass(frozen=True)
class Stream(TrainingBatches):
    """An endless sequence of training batches; an epoch's last batch is filled from the next epoch.

    Attributes:
        x: (n, size, size, 3), uint8.
        y: (n,), int32.
        batch_size: images per batch.
        seed: random seed of order and augmentation.
        augmentation: how each image is augmented.
        rows: the rows of each batch to return; None returns all.
    """

    x: np.ndarray
    y: np.ndarray
    batch_size: int
    seed: int
    augmentation: PaddedCrop
    rows: range | None = None
    _order: Callable[[int, int, int], np.ndarray] = field(init=False, repr=False)
    _augmentation: Callable[[int, int, int, int], Augmentation] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Each stream caches the two epochs that a batch may span: several streams with other seeds may take turns.
        object.__setattr__(self, "_order", lru_cache(maxsize=2)(order))
        object.__setattr__(self, "_augmentation", lru_cache(maxsize=2)(augmentation))

    @cached_property
    def _windows(self) -> np.ndarray:
        """(n, top, left, row, column and channel): a view of the padded images."""
        size, pad = self.x.shape[1], (self.augmentation.pad,) * 2
        padded = np.pad(self.x, ((0, 0), pad, pad, (0, 0)))
        # The pixels of a row are contiguous: a window of them is copied in one go.
        rows = padded.reshape(*padded.shape[:2], -1)
        return np.lib.stride_tricks.sliding_window_view(rows, (size, 3 * size), axis=(1, 2))[:, :, ::3]

    def crops(self, iteration: int) -> np.ndarray:
        """The crops that update number `iteration`, counted from 0, takes from the images.

        Returns:
            int32 of shape (rows, 4): the image's index, where its crop starts in the padded image (top, left, in
            pixels), and 1 if it is mirrored, else 0.
        """
        images, rows = len(self.x), self.rows or range(self.batch_size)
        positions = np.arange(rows.start, rows.stop) + iteration * self.batch_size
        parts = []
        for epoch in np.unique(positions // images).tolist():
            indices = self._order(self.seed, epoch, images)[positions[positions // images == epoch] % images]
            top, left, mirrored = self._augmentation(self.seed, epoch, images, self.augmentation.pad)
            turned = mirrored[indices] & self.augmentation.flip
            parts.append(
                np.stack((indices, top[indices], left[indices], turned), axis=1, dtype=np.int32, casting="unsafe")
            )
        return np.concatenate(parts)

    def batch(self, iteration: int) -> Batch:
        """The images and labels of update number `iteration`, counted from 0.

        Returns:
            uint8 of shape (rows, size, size, 3) and int32 of shape (rows,).
        """
        indices, top, left, mirrored = self.crops(iteration).T
        x = self._windows[indices, top, left].reshape(len(indices), *self.x.shape[1:])
        turned = np.flatnonzero(mirrored)
        x[turned] = x[turned, :, ::-1]
        return x, self.y[indices]

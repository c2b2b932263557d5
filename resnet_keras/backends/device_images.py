"""Training images that stay on the accelerator and are cropped and mirrored there.

A small net makes an update in less time than NumPy needs to prepare its images and a bus to carry them. The pixels are
the same: `Stream` still draws the random crops, and only those are transferred. On TensorFlow, Keras's `fit` takes
batches through host memory, so there the images stay in it.

Upstream lacks: a `RandomCrop` that draws an offset for each image, as a function of a seed and the iteration.
Delete when: it does, and `tests/data/test_small.py` passes with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from resnet_keras.backends import device, distribution
from resnet_keras.data.dataset import TrainingBatches
from resnet_keras.data.small.stream import Stream

MAX_BYTES = 2**30
"""Largest size of the images kept on the device; CIFAR-10 takes 0.14 GB."""


def resident(streams: Sequence[TrainingBatches]) -> Sequence[TrainingBatches]:
    """The same batches; where there is an accelerator, cropped there from one copy of the images.

    Args:
        streams: batches of one set of images; those of `Photographs`, which are read from disk, stay as they are.
    """
    if keras.backend.backend() not in ("jax", "torch") or device.name() == "cpu":
        return streams
    if keras.backend.backend() == "jax" and distribution.current().where.kind != "single":
        return streams  # a batch becomes one array over all devices, from the hosts' memory
    held = [stream for stream in streams if isinstance(stream, Stream)]
    if len(held) < len(streams) or not held or held[0].x.nbytes > MAX_BYTES:
        return streams
    cut = _cutter(held[0].x, held[0].augmentation.pad)
    return [_Resident(stream, cut) for stream in held]


@dataclass(frozen=True)
class _Resident(TrainingBatches):
    stream: Stream
    cut: Callable[[np.ndarray], Any]

    def batch(self, iteration: int) -> tuple[Any, np.ndarray]:
        """As `Stream.batch`, with the images as a tensor on the device."""
        crops = self.stream.crops(iteration)
        return self.cut(crops), self.stream.y[crops[:, 0]]


def _cutter(x: np.ndarray, pad: int) -> Callable[[np.ndarray], Any]:
    """A function that cuts `Stream.crops` out of the images: (n, 4) to uint8 (n, size, size, 3)."""
    size = x.shape[1]
    pixels = ops.convert_to_tensor(x.reshape(-1, 3))

    def cut(pixels: Any, crops: Any) -> Any:
        index, top, left, mirrored = (crops[:, column, None] for column in range(4))
        step = ops.arange(size, dtype="int32")
        row = top - pad + step
        column = left - pad + ops.where(mirrored > 0, size - 1 - step, step)

        def inside(side: Any) -> Any:
            return ops.cast(ops.logical_and(side >= 0, side < size), "int32")

        # Black is 0 times a pixel: a constant would be copied to the device for every batch.
        pixel = (index * size + row * inside(row))[:, :, None] * size + (column * inside(column))[:, None, :]
        seen = inside(row)[:, :, None] * inside(column)[:, None, :]
        return ops.take(pixels, pixel, axis=0) * ops.cast(seen, "uint8")[..., None]

    if keras.backend.backend() == "jax":
        import jax

        cut = jax.jit(cut)  # the images are an argument: as a constant they would become part of the program
    return lambda crops: cut(pixels, ops.convert_to_tensor(crops))

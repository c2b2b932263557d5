"""How Keras's `fit` and `evaluate` are given batches: by what takes least beside the step on each backend.

Upstream lacks: a `PyDataset` that TensorFlow takes without a generator, and one with workers that gives back the batch
which Keras takes to build the model.
Delete when: `benchmarks/training.py --beside fit` on TensorFlow loses nothing with a `PyDataset`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import keras

from resnet_keras.data.dataset import Batch

if TYPE_CHECKING:
    import tensorflow

QUEUED = 4
"""Batches that wait to be taken, at most, on TensorFlow."""


@contextmanager
def fed(batch: Callable[[int], Batch], numbers: range) -> Iterator["keras.utils.PyDataset | tensorflow.data.Dataset"]:
    """What `fit` and `evaluate` take, with `shuffle=False`; they are to be called inside.

    Args:
        batch: images and labels of a number; on TensorFlow called in a thread of its own.
        numbers: which ones, in this order.

    Raises:
        Exception: what `batch` raised, as it was: TensorFlow makes an error of its own of it.
    """
    # TensorFlow keeps every function of a pipeline until the process ends, and `batch` holds the images.
    source = [batch]
    errors: list[Exception] = []

    def kept(number: int) -> Batch:
        try:
            return source[0](number)
        except Exception as error:
            errors.append(error)
            raise

    make = _pipeline if keras.backend.backend() == "tensorflow" else _Range
    try:
        yield make(kept, numbers)
    except Exception:
        if errors:
            raise errors[0] from None
        raise
    finally:
        source.clear()


def _pipeline(batch: Callable[[int], Batch], numbers: range) -> "tensorflow.data.Dataset":
    """For TensorFlow, which takes the batches of a `PyDataset` by a generator: 2 % of a small net's time are lost."""
    import tensorflow

    def made(number: "tensorflow.Tensor") -> tuple["tensorflow.Tensor", "tensorflow.Tensor"]:
        images, labels = tensorflow.numpy_function(
            lambda one: batch(int(one)), [number], (tensorflow.uint8, tensorflow.int32)
        )
        return tensorflow.ensure_shape(images, (None, None, None, 3)), tensorflow.ensure_shape(labels, (None,))

    options = tensorflow.data.Options()
    options.autotune.enabled = False  # there is nothing to tune, and it takes a thread
    return tensorflow.data.Dataset.range(numbers.start, numbers.stop).map(made).prefetch(QUEUED).with_options(options)


class _Range(keras.utils.PyDataset):
    """For JAX and PyTorch, which run without TensorFlow."""

    def __init__(self, batch: Callable[[int], Batch], numbers: range) -> None:
        # With two workers a batch is lost: Keras takes the first to build the net, and does not give it again.
        super().__init__(workers=1)
        self._batch, self._numbers = batch, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> Batch:
        return self._batch(self._numbers[index])

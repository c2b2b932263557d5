"""How Keras's `fit` and `evaluate` get their batches: in the way that adds least to the step on each backend.

Upstream lacks: a `PyDataset` that TensorFlow reads without a generator, and one with workers that keeps the batch from
which Keras builds the model.
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
"""Most batches that wait to be taken, on TensorFlow."""


@contextmanager
def fed(batch: Callable[[int], Batch], numbers: range) -> Iterator["keras.utils.PyDataset | tensorflow.data.Dataset"]:
    """A context with the input of `fit` and `evaluate`, which are called inside it, with `shuffle=False`.

    Args:
        batch: gives the images and labels of a batch by its number; on TensorFlow called in a thread of its own.
        numbers: numbers of the batches, in this order.

    Raises:
        Exception: what `batch` raised, unchanged: TensorFlow turns it into an error of its own.
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
    """For TensorFlow, which reads a `PyDataset` through a generator and loses 2 % of a small net's time."""
    import tensorflow

    def made(number: "tensorflow.Tensor") -> tuple["tensorflow.Tensor", "tensorflow.Tensor"]:
        images, labels = tensorflow.numpy_function(
            lambda one: batch(int(one)), [number], (tensorflow.uint8, tensorflow.int32)
        )
        return tensorflow.ensure_shape(images, (None, None, None, 3)), tensorflow.ensure_shape(labels, (None,))

    options = tensorflow.data.Options()
    options.autotune.enabled = False  # there is nothing to tune, and tuning takes a thread
    return tensorflow.data.Dataset.range(numbers.start, numbers.stop).map(made).prefetch(QUEUED).with_options(options)


class _Range(keras.utils.PyDataset):
    """For JAX and PyTorch, which run without TensorFlow."""

    def __init__(self, batch: Callable[[int], Batch], numbers: range) -> None:
        # With two workers a batch is lost: Keras takes the first to build the net and does not use it again.
        super().__init__(workers=1)
        self._batch, self._numbers = batch, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> Batch:
        return self._batch(self._numbers[index])

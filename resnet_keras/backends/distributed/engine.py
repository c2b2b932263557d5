"""What training needs from an engine, and the trivial engine: a single process on one device."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, ClassVar

import keras
import numpy as np

from resnet_keras.data.dataset import Batches
from resnet_keras.errors import Lost, first_line
from resnet_keras.spec.distribution import Distribution

WHOLE = "over the whole batch"
START_SECONDS = 45
"""Seconds that processes wait for each other at the start."""


class Engine:
    """A single process on one device; engines of several override what they need to.

    Args:
        where: the place of this process among all.
        synchronized: whether batch normalisation takes the statistics of the whole batch, where an engine has a choice.
    """

    name = "one process"
    normalises: ClassVar[str] = WHOLE
    """Over what batch normalisation takes its statistics where they are not synchronised, as worded in the header."""
    apart = False
    """Whether each process keeps running metrics and moving statistics of its own rows only."""
    failures: tuple[type[Exception], ...] = ()
    """Errors raised where another process is gone."""

    def __init__(self, where: Distribution, *, synchronized: bool = False) -> None:
        self.where = where
        self.synchronized = synchronized and self.normalises != WHOLE

    @property
    def normalisation(self) -> str:
        """Over what batch normalisation takes its statistics, as worded in the header."""
        return WHOLE if self.synchronized else self.normalises

    def moments(self, images: Any) -> tuple[Any, Any]:
        """Mean and variance of each channel over the parts of a batch on all processes and devices.

        Args:
            images: the part on this one, in the axis order of the backend's kernels.
        """
        raise NotImplementedError(f"{self.name} normalises {self.normalises}.")

    def scope(self) -> Any:
        """A context in which nets are built, trained and measured."""
        return nullcontext()

    def alone(self) -> Any:
        """A context for what one process does without the others, such as saving a net."""
        return nullcontext()

    def attach(self, model: keras.Model) -> None:
        """Makes each update of a compiled model use the mean of all processes' gradients."""

    def moving(self, variable: keras.Variable) -> np.ndarray:
        """A moving statistic of this process: the mean over its devices."""
        return np.array(keras.ops.convert_to_numpy(variable))

    def later(self, array: np.ndarray) -> Callable[[], np.ndarray]:
        """Starts to sum an array over all processes; the returned function waits for the sum.

        Args:
            array: uint8, int32 or float32, of the same shape in all processes.
        """
        return lambda: array

    def total(self, array: np.ndarray) -> np.ndarray:
        """The sum over all processes."""
        with self.watched():
            return self.later(array)()

    def part(self) -> None:
        """Waits for the others before this process exits, where they may still be reading from it."""

    def measure(
        self, model: keras.Model, batches: Batches, asked: Callable[[], bool], keras_way: Callable[[], object]
    ) -> list[np.ndarray]:
        """The values of a model's metrics after this process's batches.

        Args:
            model: compiled.
            batches: those of this process.
            asked: tells whether to stop before the end.
            keras_way: measures with Keras's `evaluate`.
        """
        if len(batches):
            keras_way()
        else:
            model.reset_metrics()
        return [np.array(keras.ops.convert_to_numpy(variable)) for variable in model.metrics_variables]

    def stepping(self) -> Any:
        """A context for training steps, where a step itself meets the other processes."""
        return nullcontext()

    def is_loss(self, error: Exception) -> bool:
        """Whether one of `failures` says that another process is gone."""
        return self.where.processes > 1

    def said(self, error: Exception) -> str:
        """The part of one of `failures` that fits on a line."""
        return first_line(error)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """A context that reports in one line what a lost process raises here.

        Raises:
            OSError: another process is gone.
        """
        try:
            yield
        except self.failures as error:
            if not self.is_loss(error):
                raise
            raise Lost(
                f"A run of {self.where.processes} processes needs all of them. Received: a lost process "
                f"({self.said(error)[:120]}). Run the same command again to resume from the last checkpoint."
            ) from error

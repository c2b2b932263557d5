"""How updates are made and errors measured: by Keras's own `fit` and `evaluate`, one net at a time."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import keras
import numpy as np

from resnet_keras.backends.feeding import fed
from resnet_keras.data.dataset import Batches, TrainingBatches
from resnet_keras.training import snapshot
from resnet_keras.training.logits_model import swap_averages
from resnet_keras.training.progress import TrainingProgress


class Stopping(Protocol):
    """Whether a signal asked this process (`signals.Stop`), or any of several, to stop."""

    @property
    def asked(self) -> bool: ...

    @property
    def asked_here(self) -> bool: ...

    @property
    def signum(self) -> int | None: ...


class Learner(NamedTuple):
    """A net as a loop sees it."""

    model: keras.Model
    """Compiled, as `logits_model.training_model` makes it."""
    stream: TrainingBatches
    """Training batches of the net's seed."""


class Loop(Protocol):
    """Trains and evaluates nets of one architecture; all that is learnt is in their variables."""

    def fit(self, learners: Sequence[Learner], batches: range, metrics: Sequence[Mapping[str, np.ndarray]]) -> int:
        """Trains each net on these batches of its stream.

        Args:
            learners: nets whose learning rates are already set.
            batches: numbers of the batches.
            metrics: running metrics of each to continue from; empty ones start at zero.

        Returns:
            The number of batches trained on: fewer if a signal came, but whole updates.
        """
        ...

    def evaluate(self, learners: Sequence[Learner], batches: Batches) -> list[dict[str, float]]:
        """Loss and metrics of each net on the same images; if a signal came, on only some of them."""
        ...


class KerasLoop:
    """Trains and evaluates one net at a time, with `fit` and `evaluate`.

    Args:
        progress: follows the updates.
        stop: tells whether a signal came.
        parts: batches per update.
        averaged: whether the moving averages of the weights are evaluated instead of the weights.
    """

    def __init__(self, progress: TrainingProgress, stop: Stopping, parts: int, *, averaged: bool) -> None:
        self._progress, self._stop, self._parts, self._averaged = progress, stop, parts, averaged

    def fit(self, learners: Sequence[Learner], batches: range, metrics: Sequence[Mapping[str, np.ndarray]]) -> int:
        """As `Loop.fit`."""
        ((model, stream),), (held,) = learners, metrics
        watch = Watch(self._stop, held, self._parts)
        with fed(stream.batch, batches) as taken:
            model.fit(taken, shuffle=False, verbose=0, callbacks=Callbacks(model, [self._progress, watch]))
        watch.restore()
        return watch.batches

    def evaluate(self, learners: Sequence[Learner], batches: Batches) -> list[dict[str, float]]:
        """As `Loop.evaluate`."""
        ((model, _),) = learners
        if self._averaged:
            swap_averages(model)
        with fed(batches.__getitem__, range(len(batches))) as taken:
            callbacks = Callbacks(model, [Watch(self._stop)])
            measured = model.evaluate(taken, verbose=0, return_dict=True, callbacks=callbacks)
        if self._averaged:
            swap_averages(model)
        return [measured]


class Callbacks(keras.callbacks.CallbackList):
    """Gives callbacks the running metrics where they are, on the device.

    Keras's own list converts them to numbers after every step, so the device has to finish a step before the next can
    be sent to it.

    Upstream lacks: logs that stay on the device. Delete when: `keras.callbacks.CallbackList` no longer converts them in
    `on_train_batch_end`.
    """

    def __init__(self, model: keras.Model, callbacks: list[keras.callbacks.Callback]) -> None:
        super().__init__(callbacks, add_history=True, model=model, verbose=0, epochs=1)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        for callback in self.callbacks:
            callback.on_train_batch_end(batch, logs)

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        for callback in self.callbacks:
            callback.on_test_batch_end(batch, logs)


class Watch(keras.callbacks.Callback):
    """Ends `fit` and `evaluate` after the update in which a signal came.

    Args:
        stop: tells whether a signal came.
        metrics: running metrics for `fit` to continue from.
        parts: batches per update.
    """

    def __init__(self, stop: Stopping, metrics: Mapping[str, np.ndarray] | None = None, parts: int = 1) -> None:
        super().__init__()
        self.batches = 0
        self._stop, self._metrics, self._parts = stop, metrics or {}, parts
        self._weights: list[np.ndarray] | None = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        snapshot.put_metrics(self.model, self._metrics)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.batches += 1
        if self._stop.asked and self.batches % self._parts == 0:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self.model.optimizer.use_ema:
            # At its end `fit` overwrites the weights with their averages; training continues with the weights.
            variables = self.model.trainable_variables
            self._weights = [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]

    def restore(self) -> None:
        """Restores the weights that `fit`, at its end, replaces with the optimizer's averages of them.

        Upstream lacks: a `fit` that keeps averages and weights apart. Delete when: `Model.fit` no longer calls
        `optimizer.finalize_variable_values`.
        """
        for variable, weights in zip(self.model.trainable_variables, self._weights or [], strict=False):
            variable.assign(weights)

    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if self._stop.asked_here:
            self.model.stop_evaluating = True

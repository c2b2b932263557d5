"""One net on several processes or devices: each computes its rows of every batch, and all make the same updates.

Errors are measured in shares: each process evaluates its own images, and the counts are summed.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from resnet_keras.backends import distribution
from resnet_keras.backends.feeding import fed
from resnet_keras.data.dataset import Batches
from resnet_keras.signals import SIGNALS, Stop
from resnet_keras.training.logits_model import swap_averages
from resnet_keras.training.loop import Callbacks, Learner, Stopping, Watch
from resnet_keras.training.progress import TrainingProgress

BEHIND = 2
"""Updates after which all processes learn of a signal seen by one: none waits for an answer in the same update."""


class AgreedStop:
    """Whether a signal asked any of the processes to stop; all answer yes after the same update.

    Args:
        own: tells whether a signal came to this process.
    """

    def __init__(self, own: Stop) -> None:
        self._own, self._engine = own, distribution.current()
        self.signum: int | None = None
        self._asked: deque[Callable[[], np.ndarray]] = deque()

    @property
    def asked(self) -> bool:
        """Whether all processes are to stop."""
        return self.signum is not None

    @property
    def asked_here(self) -> bool:
        """Whether a signal has come to this process."""
        return self._own.asked

    def updated(self) -> None:
        """To be called after each update."""
        with self._engine.watched():
            self._asked.append(self._engine.later(self._flags()))
            if len(self._asked) > BEHIND:
                self._learn(self._asked.popleft()())

    def agree(self) -> None:
        """To be called where all processes are at the same point between updates: then all know what any has seen."""
        with self._engine.watched():
            while self._asked:
                self._learn(self._asked.popleft()())
        self._learn(self._engine.total(self._flags()))

    def _flags(self) -> np.ndarray:
        return np.array([self._own.signum == signum for signum in SIGNALS], np.int32)

    def _learn(self, flags: np.ndarray) -> None:
        seen = [signum for signum, count in zip(SIGNALS, flags.tolist(), strict=True) if count]
        if seen and self.signum is None:
            self.signum = seen[0]


class ParallelLoop:
    """As `KerasLoop`, with the same arguments, on the processes or devices that `backends.distribution` started."""

    def __init__(self, progress: TrainingProgress, stop: Stopping, parts: int, *, averaged: bool) -> None:
        self._progress, self._stop, self._parts, self._averaged = progress, stop, parts, averaged
        self._engine = distribution.current()
        self._attached: set[int] = set()

    def fit(self, learners: Sequence[Learner], batches: range, metrics: Sequence[Mapping[str, np.ndarray]]) -> int:
        """As `Loop.fit`."""
        ((model, stream),), (held,) = learners, metrics
        if id(model) not in self._attached:
            self._engine.attach(model)
            self._attached.add(id(model))
        # Where each process counts its own rows, earlier counts are added by one process only.
        watch = Watch(self._stop, held if self._engine.where.leads or not self._engine.apart else {}, self._parts)
        callbacks = [self._progress, watch]
        if isinstance(self._stop, AgreedStop):
            callbacks.insert(0, _Agreement(self._stop, self._parts))
        with self._engine.stepping(), fed(stream.batch, batches) as taken:
            model.fit(taken, shuffle=False, verbose=0, callbacks=Callbacks(model, callbacks))
        watch.restore()
        if self._engine.apart:
            moving, metrics_now = _moving(model), model.metrics_variables
            self._set(moving, [self._engine.moving(one) for one in moving], mean=True)
            self._set(metrics_now, [np.array(keras.ops.convert_to_numpy(one)) for one in metrics_now])
        self._agree()
        return watch.batches

    def evaluate(self, learners: Sequence[Learner], batches: Batches) -> list[dict[str, float]]:
        """As `Loop.evaluate`."""
        ((model, _),) = learners
        if self._averaged:
            swap_averages(model)

        def keras_way() -> None:
            with fed(batches.__getitem__, range(len(batches))) as taken:
                model.evaluate(taken, verbose=0, callbacks=Callbacks(model, [Watch(self._stop)]))

        counted = self._engine.measure(model, batches, lambda: self._stop.asked_here, keras_way)
        self._set(model.metrics_variables, counted)
        measured = {name: float(value) for name, value in model.get_metrics_result().items()}
        if self._averaged:
            swap_averages(model)
        self._agree()
        return [measured]

    def _agree(self) -> None:
        if isinstance(self._stop, AgreedStop):
            self._stop.agree()

    def _set(self, variables: Sequence[keras.Variable], arrays: Sequence[np.ndarray], *, mean: bool = False) -> None:
        """Sets variables to the sum of the arrays over all processes, or to their mean."""
        if not variables:
            return
        flat = np.concatenate([array.reshape(-1).astype(np.float32) for array in arrays])
        total = self._engine.total(flat) / (self._engine.where.processes if mean else 1)
        ends = np.cumsum([array.size for array in arrays])[:-1]
        for variable, array, values in zip(variables, arrays, np.split(total, ends), strict=True):
            variable.assign(values.reshape(array.shape).astype(array.dtype))


class _Agreement(keras.callbacks.Callback):
    """Asks all processes after each update whether a signal has come."""

    def __init__(self, stop: AgreedStop, parts: int) -> None:
        super().__init__()
        self._stop, self._parts = stop, parts

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if (batch + 1) % self._parts == 0:
            self._stop.updated()


def _moving(model: keras.Model) -> list[keras.Variable]:
    """Moving statistics of batch normalisation: each process has those of its rows, and their mean is that of all."""
    trained = {variable.path.rpartition("/")[0] for variable in model.trainable_variables}
    return [
        variable
        for variable in model.non_trainable_variables
        for layer, _, name in [variable.path.rpartition("/")]
        if name in ("moving_mean", "moving_variance") and layer in trained
    ]

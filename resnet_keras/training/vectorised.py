"""Several nets of one architecture in one program, on JAX: a small net leaves an accelerator idle.

Each net's update is Keras's own `train_step`; `jax.vmap` makes it one program for all nets at once.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import keras
import numpy as np

from resnet_keras.data.dataset import Batches
from resnet_keras.errors import InvalidValue
from resnet_keras.training import snapshot
from resnet_keras.training.logits_model import swap_averages
from resnet_keras.training.loop import Learner, Stopping
from resnet_keras.training.progress import TrainingProgress

Kind = Literal["train", "test"]
"""Kind of step."""
STEPS_IN_FLIGHT = 8
"""Steps sent to the device before the first of them must be finished."""


class VectorisedLoop:
    """Trains and evaluates all nets at once. Arguments as for `KerasLoop`.

    Raises:
        ValueError: the backend is not JAX.
    """

    def __init__(self, progress: TrainingProgress, stop: Stopping, parts: int, *, averaged: bool) -> None:
        if keras.backend.backend() != "jax":
            backend = keras.backend.backend()
            raise InvalidValue(
                f"Several nets are trained at once on JAX only. Received: {backend}. Train them one at a time."
            )
        self._progress, self._stop, self._parts, self._averaged = progress, stop, parts, averaged
        self._steps: dict[tuple[int, int, Kind], Callable[..., Any]] = {}

    def fit(self, learners: Sequence[Learner], batches: range, metrics: Sequence[Mapping[str, np.ndarray]]) -> int:
        """As `Loop.fit`."""
        import jax.numpy as jnp

        models = [learner.model for learner in learners]
        for model, held in zip(models, metrics, strict=True):
            model.reset_metrics()
            snapshot.put_metrics(model, held)
        state = _stacked(models, _trained)
        step = self._compiled(models, "train")
        self._progress.on_train_begin()
        sent: deque[Any] = deque()
        made = 0
        for number in batches:
            images, labels = zip(*(one.stream.batch(number) for one in learners), strict=True)
            x = (np if isinstance(images[0], np.ndarray) else jnp).stack(images)
            logs, state = step(state, x, np.stack(labels))
            made += 1
            self._progress.on_train_batch_end(made - 1, _first(logs))
            sent.append(logs["loss"])
            if len(sent) > STEPS_IN_FLIGHT:
                sent.popleft().block_until_ready()
            if self._stop.asked and made % self._parts == 0:
                break
        _unstack(state, models, _trained)
        for leaf in state[0]:
            leaf.block_until_ready()
        self._progress.on_train_end()
        return made

    def evaluate(self, learners: Sequence[Learner], batches: Batches) -> list[dict[str, float]]:
        """As `Loop.evaluate`."""
        models = [learner.model for learner in learners]
        for model in models:
            model.reset_metrics()
            if self._averaged:
                swap_averages(model)
        state = _stacked(models, _measured)
        step = self._compiled(models, "test")
        for x, y in batches:
            _, state = step(state, x, y)
            if self._stop.asked:
                break
        _unstack(state, models, _measured)
        for model in models:
            if self._averaged:
                swap_averages(model)
        return [{name: float(value) for name, value in model.get_metrics_result().items()} for model in models]

    def _compiled(self, models: Sequence[keras.Model], kind: Kind) -> Callable[..., Any]:
        import jax

        lead = models[0]  # all nets share its graph
        key = (id(lead), len(models), kind)
        if key not in self._steps:

            def one(state: Any, x: Any, y: Any) -> Any:
                return lead.train_step(state, (x, y)) if kind == "train" else lead.test_step(state, (x, y))

            images = 0 if kind == "train" else None  # one batch per net, or the same for all
            self._steps[key] = jax.jit(jax.vmap(one, in_axes=(0, images, images)), donate_argnums=0)
        return self._steps[key]


def _trained(model: keras.Model) -> list[list[keras.Variable]]:
    """The variables that a training step takes and returns, in Keras's order."""
    optimizer = model.optimizer.variables
    return [model.trainable_variables, model.non_trainable_variables, optimizer, model.metrics_variables]


def _measured(model: keras.Model) -> list[list[keras.Variable]]:
    """The variables that a test step takes and returns."""
    return [model.trainable_variables, model.non_trainable_variables, model.metrics_variables]


def _stacked(models: Sequence[keras.Model], variables: Callable[[keras.Model], list[list[keras.Variable]]]) -> Any:
    import jax.numpy as jnp

    parts = zip(*(variables(model) for model in models), strict=True)
    return tuple(
        [jnp.stack([variable.value for variable in same]) for same in zip(*part, strict=True)] for part in parts
    )


def _unstack(
    state: Any, models: Sequence[keras.Model], variables: Callable[[keras.Model], list[list[keras.Variable]]]
) -> None:
    for number, model in enumerate(models):
        for values, part in zip(state, variables(model), strict=True):
            for value, variable in zip(values, part, strict=True):
                variable.assign(value[number])


def _first(logs: Mapping[str, Any]) -> dict[str, Any]:
    """The running metrics of the first net, for display."""
    return {name: value[0] for name, value in logs.items()}

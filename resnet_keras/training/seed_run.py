"""One net in training, and how far it has come."""

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from resnet_keras.backends import distribution
from resnet_keras.data.dataset import TrainingBatches
from resnet_keras.errors import Diverged
from resnet_keras.nets.build import class_names_of, in_float32, network_of, without_auxiliary
from resnet_keras.runs.checkpoints import State
from resnet_keras.runs.writing import ReadOnlyFolder, RunFolder
from resnet_keras.spec.recipe import Recipe
from resnet_keras.spec.records import Results, Row
from resnet_keras.spec.schedules import Period
from resnet_keras.training import snapshot
from resnet_keras.training.logits_model import compile_as_saved, training_model
from resnet_keras.training.loop import Learner
from resnet_keras.weights.save import write


class SeedRun:
    """A net, and how far it has come: `state` is what a checkpoint would hold."""

    def __init__(
        self, name: str, model: keras.Model, recipe: Recipe, stream: TrainingBatches, folder: RunFolder | ReadOnlyFolder
    ) -> None:
        self.name = name
        self._model, self._recipe, self._folder = model, recipe, folder
        self._served = model
        self._periods = tuple(recipe.periods())
        self.state = folder.state or State(0, (), {})
        self.learner = self._learner(model, stream)
        self._begun = time.perf_counter() - self.state.seconds
        self._fresh: State | None = None
        """State that is not yet in a checkpoint: after updates since the last row."""
        self._trained: dict[str, float] = {}

    @property
    def path(self) -> Path:
        """The run folder."""
        return self._folder.path

    @property
    def metrics(self) -> Mapping[str, np.ndarray]:
        """The running metrics that a period continues from."""
        return self.state.arrays if self.state.inside else {}

    def next_period(self) -> Period | None:
        """The current period, or None at the end of the recipe."""
        done, inside = self.state.iteration, self.state.inside
        return next((one for one in self._periods if one.stop > done or (one.stop == done and inside)), None)

    def begin(self, period: Period) -> None:
        """Sets the learning rate of a period and, if all its updates are made, the metrics that they gave."""
        self.learner.model.optimizer.learning_rate = self._rate(period)
        if self.state.iteration == period.stop:
            snapshot.put_metrics(self.learner.model, self.metrics)

    def fitted(self, period: Period, iteration: int, speed: float) -> None:
        """Records the state of the net after updates."""
        trained = self.learner.model
        self._trained = {name: float(value) for name, value in trained.get_metrics_result().items()}
        arrays = snapshot.take(trained, metrics=True)
        self._check(self._trained["loss"], arrays, period)
        self._fresh = replace(
            self.state, iteration=iteration, arrays=arrays, inside=True, images_per_second=speed, seconds=self._seconds
        )

    def measured(self, held_out: Mapping[str, float], period: Period) -> Row:
        """Writes the row and the checkpoint of a period."""
        assert self._fresh is not None
        self._check(held_out["loss"], {}, period)
        row = Row(
            iteration=period.stop,
            learning_rate=self._rate(period),
            train_error=error_percent(self._trained),
            validation_error=error_percent(held_out),
            cross_entropy=self._trained["cross_entropy"],
            validation_cross_entropy=held_out["cross_entropy"],
            images_per_second=self._fresh.images_per_second,
            seconds=self._seconds,
        )
        arrays = {name: array for name, array in self._fresh.arrays.items() if not name.startswith(snapshot.METRICS)}
        self._save(State(period.stop, (*self.state.rows, row), arrays, seconds=row.seconds))
        self._folder.record(row)
        return row

    def save_inside(self) -> None:
        """Saves updates that no row covers yet, if there are any."""
        if self._fresh is not None:
            self._save(replace(self._fresh, seconds=self._seconds))

    def settle(self) -> None:
        """Ends training: what is tested and saved computes in float32, so it has the same error on every backend."""
        if self._recipe.precision != "float32":
            self._served = in_float32(self._model)
            self.learner = self._learner(self._served, self.learner.stream)

    def finish(self, test_error: float | None) -> Results:
        """Writes the model and the results."""
        row = self.state.rows[-1]
        results = Results(row.train_error, row.validation_error, test_error)
        served = without_auxiliary(self._served)
        compile_as_saved(served, self.learner.model, self._recipe)
        if self._served is not self._model:
            self._model.set_weights(self._served.get_weights())
        network, class_names = network_of(served), class_names_of(self._model)
        with distribution.current().alone():
            self._folder.save_model(lambda path: write(served, path, network, class_names))
        self._folder.finish(results)
        return results

    def _learner(self, model: keras.Model, stream: TrainingBatches) -> Learner:
        """The net as it is trained, in the state that the last checkpoint holds."""
        trained = training_model(model, self._recipe)
        snapshot.build_metrics(trained)
        if self.state.iteration or self.state.arrays:
            snapshot.put(trained, self.state.arrays)
        return Learner(trained, stream)

    @property
    def _seconds(self) -> float:
        return time.perf_counter() - self._begun

    def _rate(self, period: Period) -> float:
        return self._recipe.learning_rate_of(period, self.state.rows)

    def _check(self, loss: float, arrays: Mapping[str, np.ndarray], period: Period) -> None:
        non_finite = next((name for name, array in arrays.items() if not np.isfinite(array).all()), None)
        if math.isfinite(loss) and non_finite is None:
            return
        what = f"a loss of {loss}" if not math.isfinite(loss) else f"{non_finite} with NaN or infinity"
        last = self._folder.last_checkpoint
        where = f"Last finite checkpoint: {last}." if last else f"No earlier checkpoint in {self.path}."
        raise Diverged(
            f"Loss and weights stay finite. Received: {what} in iterations {period.start} to {period.stop} "
            f"at learning rate {self._rate(period):g}. {where} Lower the learning rate and start over with --fresh."
        )

    def _save(self, state: State) -> None:
        self._folder.save_state(state)
        self.state, self._fresh = state, None


def error_percent(measured: Mapping[str, float]) -> float:
    return round(100.0 * (1.0 - measured["accuracy"]), 4)

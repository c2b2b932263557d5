"""`train`: a model, a recipe and images become a run folder (sections 3.4 and 4.2). It rides on `model.fit`."""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any, NoReturn

import keras
import numpy as np
from rich.console import Console

from resnet_keras import snapshot
from resnet_keras.checkpoints import State
from resnet_keras.data.dataset import Batch, Batches, Dataset, TrainingBatches
from resnet_keras.errors import Diverged, InvalidValue, Stopped
from resnet_keras.folder import RunFolder
from resnet_keras.fused import fused
from resnet_keras.progress import TrainingProgress
from resnet_keras.recipe import Recipe
from resnet_keras.records import Results, Row
from resnet_keras.schedules import Period
from resnet_keras.stopping import Stop


class BatchRange(keras.utils.PyDataset):
    """Batches number `start` to `stop` (exclusive), for `fit` and `evaluate`."""

    def __init__(self, batch: Callable[[int], Batch], start: int, stop: int) -> None:
        super().__init__()
        self._batch, self._start, self._stop = batch, start, stop

    def __len__(self) -> int:
        return self._stop - self._start

    def __getitem__(self, index: int) -> Batch:
        return self._batch(self._start + index)


def trainable_twin(model: keras.Model, recipe: Recipe) -> keras.Model:
    """The same variables up to the logits, compiled for training.

    Keras's cross-entropy of probabilities clips them at 1e-7, so that images which a net gets very wrong have no
    gradient.

    Raises:
        ValueError: the model's last layer is no softmax.
    """
    last = model.layers[-1]
    if getattr(last, "activation", None) is not keras.activations.softmax or not isinstance(
        last, keras.layers.Activation
    ):
        raise InvalidValue(f"Training takes a model whose last layer is a softmax Activation. Received: {last.name!r}.")
    twin = fused(keras.Model(model.inputs, last.input, name=f"{model.name}_logits"))
    twin.compile(
        # No `weight_decay=`: Keras decouples it from the gradient. The layers' L2 is the paper's.
        optimizer=keras.optimizers.SGD(
            recipe.learning_rate,
            momentum=recipe.momentum,
            use_ema=recipe.average_over > 0,
            # Keras averages after each part of a batch.
            ema_momentum=1 - 1 / max(1, recipe.average_over * recipe.accumulate),
            gradient_accumulation_steps=recipe.accumulate if recipe.accumulate > 1 else None,
        ),
        loss=_loss(recipe),
        metrics=[
            keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
            # `loss` holds the weight decay's penalty as well.
            keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="cross_entropy"),
        ],
    )
    return twin


def _loss(recipe: Recipe) -> Any:
    if not recipe.label_smoothing:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def smoothed(labels: Any, logits: Any) -> Any:
        # Keras smooths one-hot labels only.
        labels = keras.ops.cast(keras.ops.reshape(labels, (-1,)), "int32")
        labels = keras.ops.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
        return keras.losses.categorical_crossentropy(
            labels, logits, from_logits=True, label_smoothing=recipe.label_smoothing
        )

    return smoothed


def train(
    model: keras.Model,
    recipe: Recipe,
    data: Dataset,
    folder: RunFolder,
    *,
    seed: int = 0,
    console: Console | None = None,
) -> Results:
    """Trains a model and writes its run folder; goes on where `folder.state` says.

    Args:
        model: raw pixels to probabilities, as `build` makes it; it ends with the trained weights.
        recipe: the schedule.
        data: what to train, validate and test on; test images, where there are any, are evaluated once, at the end.
        folder: where rows, checkpoints, the model and the results go.
        seed: of order and augmentation.
        console: where progress is shown; None is standard output.

    Returns:
        The errors at the end, in percent.

    Raises:
        ArithmeticError: the loss or a weight is no longer finite; rows, checkpoints and earlier files stay.
        KeyboardInterrupt: a signal came; the run is saved and goes on from there.
        OSError: the run folder cannot be written.
        ValueError: images or classes of another size than the model's.
    """
    images = data.description
    shape = (images.image_size, images.image_size, 3)
    if model.input_shape[1:] != shape or model.output_shape[1] != images.num_classes:
        raise InvalidValue(
            f"Model and images fit. Received: a model of {model.input_shape[1:]} and {model.output_shape[1]} classes, "
            f"{images.name} of {shape} and {images.num_classes}."
        )
    twin = trainable_twin(model, recipe)
    with (
        closing(data.stream(recipe.batch_size // recipe.accumulate, seed, recipe.augmentation)) as stream,
        closing(data.validation_batches()) as held_out,
        TrainingProgress(model.name, recipe, console) as progress,
        Stop() as stop,
    ):
        trainee = _Trainee(twin, recipe, stream, held_out, folder, progress, stop)
        for period in recipe.periods():
            if period.stop > trainee.state.iteration or (
                period.stop == trainee.state.iteration and trainee.state.inside
            ):
                trainee.train(period)
        tested = data.test_batches()
        test = None if tested is None else _error(trainee.evaluate(tested))
        row = trainee.state.rows[-1]
        results = Results(row.train_error, row.validation_error, test)
        _compile_as_saved(model, twin, recipe)
        folder.save_model(lambda path: model.save(path))
        folder.finish(results)
        if stop.signum is not None:
            raise Stopped(stop.signum, f"{folder.path} is finished")
    return results


def _compile_as_saved(model: keras.Model, twin: keras.Model, recipe: Recipe) -> None:
    """Compiles the trained model, so that whoever loads its file can `evaluate` it at once, and train on.

    Its optimizer is SGD with its momentum, whatever else the recipe needed of one.
    """
    if recipe.average_over:
        keras.callbacks.SwapEMAWeights.on_test_begin(_averages(twin))
    optimizer = keras.optimizers.SGD(float(twin.optimizer.learning_rate), momentum=recipe.momentum, name="sgd")
    optimizer.build(model.trainable_variables)
    held = {_slot(variable): variable for variable in twin.optimizer.variables}
    for variable in optimizer.variables:
        variable.assign(held[_slot(variable)])
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])


def _slot(variable: keras.Variable) -> str:
    """An optimizer's variable without the optimizer's own name."""
    return str(variable.path.partition("/")[2])


def _averages(model: keras.Model) -> keras.callbacks.SwapEMAWeights:
    """Puts averaged weights into a model for as long as it is evaluated."""
    swap = keras.callbacks.SwapEMAWeights()
    swap.set_model(model)
    return swap


class _Trainee:
    """A net, and how far it has come: `state` is what a checkpoint would hold."""

    def __init__(
        self,
        twin: keras.Model,
        recipe: Recipe,
        stream: TrainingBatches,
        held_out: Batches,
        folder: RunFolder,
        progress: TrainingProgress,
        stop: Stop,
    ) -> None:
        self._twin, self._recipe, self._folder = twin, recipe, folder
        self._stream, self._held_out = stream, held_out
        self._progress, self._stop = progress, stop
        twin.optimizer.build(twin.trainable_variables)
        snapshot.build_metrics(twin)
        if folder.state is not None:
            snapshot.put(twin, folder.state.arrays)
        self.state = folder.state or State(0, (), {})
        self._begun = time.perf_counter() - self.state.seconds
        progress.skip(self.state.iteration)

    def train(self, period: Period) -> None:
        """Trains to the end of a period, measures the errors and writes a row and a checkpoint."""
        rate = self._recipe.learning_rate_of(period, self.state.rows)
        speed = self._fit(period, rate)
        trained = {name: float(value) for name, value in self._twin.get_metrics_result().items()}
        metrics = snapshot.take(self._twin, metrics=True)
        self._check(trained["loss"], metrics, period, rate)
        if self._stop.asked:
            self._leave(metrics, speed)
        held_out = self.evaluate(self._held_out, (metrics, speed))
        self._check(held_out["loss"], {}, period, rate)
        seconds = time.perf_counter() - self._begun
        row = Row(
            iteration=period.stop,
            learning_rate=rate,
            train_error=_error(trained),
            validation_error=_error(held_out),
            cross_entropy=trained["cross_entropy"],
            validation_cross_entropy=held_out["cross_entropy"],
            images_per_second=speed,
            seconds=seconds,
        )
        arrays = {name: array for name, array in metrics.items() if not name.startswith(snapshot.METRICS)}
        self._save(State(period.stop, (*self.state.rows, row), arrays, seconds=seconds))
        self._folder.record(row)
        self._progress.report(row)

    def evaluate(self, batches: Batches, inside: tuple[dict[str, np.ndarray], float] | None = None) -> dict[str, float]:
        """Measures; `inside` is what to save if a signal comes meanwhile."""
        callbacks: list[keras.callbacks.Callback] = [_Watch(self._stop)]
        if self._recipe.average_over:
            callbacks.append(keras.callbacks.SwapEMAWeights())
        measured = self._twin.evaluate(
            BatchRange(batches.__getitem__, 0, len(batches)),
            verbose=0,
            return_dict=True,
            callbacks=_Callbacks(self._twin, callbacks),
        )
        if self._stop.asked:
            self._leave(*inside) if inside else self._leave()
        return measured

    def _fit(self, period: Period, rate: float) -> float:
        """Makes the updates of a period that are still to be made; returns images a second."""
        start = max(period.start, self.state.iteration)
        parts = self._recipe.accumulate
        watch = _Watch(self._stop, self.state.arrays if self.state.inside else {}, parts)
        if start == period.stop:  # stopped between the last update and the row
            snapshot.put_metrics(self._twin, self.state.arrays)
            return self.state.images_per_second
        self._twin.optimizer.learning_rate = rate
        batches = BatchRange(self._stream.batch, start * parts, period.stop * parts)
        self._twin.fit(batches, shuffle=False, verbose=0, callbacks=_Callbacks(self._twin, [self._progress, watch]))
        watch.restore()
        self.state = replace(self.state, iteration=start + watch.batches // parts)
        images = self._recipe.batch_size // parts * (watch.batches - 1)
        return images / max(self._progress.step_seconds, 1e-9)

    def _check(self, loss: float, arrays: Mapping[str, np.ndarray], period: Period, rate: float) -> None:
        wild = next((name for name, array in arrays.items() if not np.isfinite(array).all()), None)
        if math.isfinite(loss) and wild is None:
            return
        what = f"a loss of {loss}" if not math.isfinite(loss) else f"{wild} with NaN or infinity"
        last = self._folder.last_checkpoint
        where = f"Last finite: {last}." if last else "No checkpoint was written before."
        raise Diverged(
            f"Loss and weights stay finite. Received: {what} in iterations {period.start} to {period.stop} "
            f"at learning rate {rate:g}. {where} Lower the rate, with --fresh."
        )

    def _leave(self, arrays: dict[str, np.ndarray] | None = None, speed: float = 0.0) -> NoReturn:
        """Saves a run that a signal stops, if there is something to save."""
        assert self._stop.signum is not None
        if arrays is not None:
            seconds = time.perf_counter() - self._begun
            self._save(replace(self.state, arrays=arrays, inside=True, images_per_second=speed, seconds=seconds))
        raise Stopped(
            self._stop.signum,
            f"saved at iteration {self.state.iteration:,} in {self._folder.path}; the same command goes on from there",
        )

    def _save(self, state: State) -> None:
        self._folder.save_state(state)
        self.state = state


class _Callbacks(keras.callbacks.CallbackList):
    """Gives callbacks the running metrics where they are: Keras's own list makes numbers of them after every step, for
    which the device has to finish the step before the next can be sent to it."""

    def __init__(self, model: keras.Model, callbacks: list[keras.callbacks.Callback]) -> None:
        super().__init__(callbacks, add_history=True, model=model, verbose=0, epochs=1)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        for callback in self.callbacks:
            callback.on_train_batch_end(batch, logs)

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        for callback in self.callbacks:
            callback.on_test_batch_end(batch, logs)


class _Watch(keras.callbacks.Callback):
    """Ends `fit` and `evaluate` after the update in which a signal came.

    Args:
        stop: tells of the signal.
        metrics: for `fit` to go on with.
        parts: batches an update.
    """

    def __init__(self, stop: Stop, metrics: Mapping[str, np.ndarray] | None = None, parts: int = 1) -> None:
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
            # The end of `fit` writes the average over the weights, and here training goes on with these.
            variables = self.model.trainable_variables
            self._weights = [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]

    def restore(self) -> None:
        """Undoes what the end of `fit` does to the weights of an optimizer that averages them."""
        for variable, weights in zip(self.model.trainable_variables, self._weights or [], strict=False):
            variable.assign(weights)

    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if self._stop.asked:
            self.model.stop_evaluating = True


def _error(measured: Mapping[str, float]) -> float:
    return round(100.0 * (1.0 - measured["accuracy"]), 4)

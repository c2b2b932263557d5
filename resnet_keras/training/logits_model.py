"""The net as it is trained and as it is saved: two models on the same variables."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from resnet_keras.backends.kernels import set_kernel_memory_format, with_backend_kernels
from resnet_keras.errors import InvalidValue
from resnet_keras.nets.build import every_layer
from resnet_keras.spec.baselines.googlenet import HEAD_WEIGHT
from resnet_keras.spec.recipe import Recipe
from resnet_keras.training import finetuning
from resnet_keras.training.optimizer import CoupledSGD, coupled_decays, uncoupled


def training_model(model: keras.Model, recipe: Recipe) -> keras.Model:
    """The net up to its logits, on the same variables, compiled for training with its optimizer built.

    Keras's cross-entropy of probabilities clips them at 1e-7, so images that a net gets very wrong have no gradient.

    Raises:
        ValueError: the model's last layer is not a softmax.
    """
    logits = [_logits(model, probabilities) for probabilities in model.outputs]
    # Keras's loops, and ours, take one output: the logits of auxiliary classifiers follow the net's own.
    beside = keras.layers.Concatenate(dtype="float32", name="logits")(logits) if len(logits) > 1 else logits[0]
    trained = _LogitsModel(with_backend_kernels(keras.Model(model.inputs, beside, name=f"{model.name}_logits")))
    with _float32():
        _compile(trained, recipe, len(logits), finetuning.rate_shares(model, recipe.finetune))
    set_kernel_memory_format(trained.trainable_variables + trained.optimizer.variables)
    return trained


class _LogitsModel(keras.Model):
    """A functional model whose L2 penalties are part of its optimizer's update, not of its loss."""

    def __init__(self, net: keras.Model) -> None:
        super().__init__(net.inputs[0], net.outputs[0], name=net.name)
        self._call = net.call

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        return self._call(inputs, training=training, mask=mask)

    @property
    def losses(self) -> list[Any]:
        with uncoupled(self.trainable_variables):
            return list(super().losses)


def _logits(model: keras.Model, probabilities: Any) -> Any:
    """The input of the softmax."""
    last = next(layer for layer in reversed(model.layers) if layer.output is probabilities)
    if getattr(last, "activation", None) is not keras.activations.softmax or not isinstance(
        last, keras.layers.Activation
    ):
        raise InvalidValue(f"Training takes a model whose last layer is a softmax Activation. Received: {last.name!r}.")
    return last.input


def _compile(trained: keras.Model, recipe: Recipe, classifiers: int, shares: Sequence[float]) -> None:
    trained.compile(
        optimizer=CoupledSGD(
            coupled_decays(trained.trainable_variables),
            shares,
            recipe.learning_rate,
            momentum=recipe.momentum,
            use_ema=recipe.average_over > 0,
            # Keras averages after each part of a batch.
            ema_momentum=1 - 1 / max(1, recipe.average_over * recipe.accumulate),
            gradient_accumulation_steps=recipe.accumulate if recipe.accumulate > 1 else None,
        ),
        loss=_loss(recipe) if classifiers == 1 else _weighted(_loss(recipe), classifiers),
        metrics=[
            keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
            # `loss` may smooth the labels and include penalties of layers that are not ours.
            keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="cross_entropy"),
        ]
        if classifiers == 1
        else _metrics_of_the_first(trained.output_shape[1] // classifiers),
    )
    trained.optimizer.build(trained.trainable_variables)


@contextmanager
def _float32() -> Iterator[None]:
    """Inside the context, whatever has no dtype of its own is float32.

    Metrics and the loss's running mean would take Keras's `floatx`, and in float16 a count ends at 65,504.
    """
    floatx = keras.config.floatx()
    keras.config.set_floatx("float32")
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)


def _metrics_of_the_first(classes: int) -> list[keras.metrics.Metric]:
    """The same metrics for the net's own classifier, whose logits come before the auxiliary ones'."""

    def accuracy(labels: Any, logits: Any) -> Any:
        return keras.metrics.sparse_categorical_accuracy(labels, logits[:, :classes])

    def cross_entropy(labels: Any, logits: Any) -> Any:
        return keras.losses.sparse_categorical_crossentropy(labels, logits[:, :classes], from_logits=True)

    return [keras.metrics.MeanMetricWrapper(function, name=function.__name__) for function in (accuracy, cross_entropy)]


def _weighted(loss: Any, classifiers: int) -> Any:
    """The loss of the net's own classifier plus a share of the auxiliary ones' (Szegedy et al. 2015, section 5)."""

    def weighted(labels: Any, logits: Any) -> Any:
        own, *auxiliary = (loss(labels, part) for part in keras.ops.split(logits, classifiers, axis=-1))
        return own + HEAD_WEIGHT * sum(auxiliary)

    return weighted


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


def compile_as_saved(model: keras.Model, trained: keras.Model, recipe: Recipe) -> None:
    """Compiles the trained model so that whoever loads its file can `evaluate` it at once and continue training.

    Its optimizer is SGD with its momentum state, whatever else the recipe needed; layers that were frozen no longer
    are, and have no momentum yet.
    """
    if recipe.average_over:
        swap_averages(trained)
    for layer in every_layer(model):  # on TensorFlow, `model.trainable` does not reach them
        layer.trainable = True
    with _float32():
        rate = float(keras.ops.convert_to_numpy(trained.optimizer.learning_rate))
        optimizer = keras.optimizers.SGD(rate, momentum=recipe.momentum, name="sgd")
        optimizer.build(model.trainable_variables)
    held = {_slot(variable): variable for variable in trained.optimizer.variables}
    for variable in optimizer.variables:
        if (slot := held.get(_slot(variable))) is not None:
            variable.assign(slot)
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])


def _slot(variable: keras.Variable) -> str:
    """Path of an optimizer's variable without the optimizer's own name."""
    return str(variable.path.partition("/")[2])


def swap_averages(model: keras.Model) -> None:
    """Swaps the weights and their moving averages; a second call swaps them back.

    Keras's `SwapEMAWeights` adds and subtracts on TensorFlow, which changes the last digits.
    """
    averages = [variable for variable in model.optimizer.variables if variable.path.endswith("_average")]
    for weights, average in zip(model.trainable_variables, averages, strict=True):
        held = np.array(keras.ops.convert_to_numpy(weights))
        weights.assign(keras.ops.copy(average.value))
        average.assign(held)

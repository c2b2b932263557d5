"""The net as it trains, and as it is saved: two models on the same variables."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import numpy as np

from resnet_keras.backends.kernels import set_kernel_memory_format, with_backend_kernels
from resnet_keras.errors import InvalidValue
from resnet_keras.spec.recipe import Recipe
from resnet_keras.training import finetuning
from resnet_keras.training.finetuning import SharedRateSGD


def training_model(model: keras.Model, recipe: Recipe) -> keras.Model:
    """The same variables up to the logits, compiled for training, its optimizer built.

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
    trained = with_backend_kernels(keras.Model(model.inputs, last.input, name=f"{model.name}_logits"))
    with _float32():
        _compile(trained, recipe, finetuning.rate_shares(model, recipe.finetune))
    set_kernel_memory_format(trained.trainable_variables + trained.optimizer.variables)
    return trained


def _compile(trained: keras.Model, recipe: Recipe, shares: Sequence[float] | None) -> None:
    kind = keras.optimizers.SGD if shares is None else partial(SharedRateSGD, shares)
    trained.compile(
        # No `weight_decay=`: Keras decouples it from the gradient. The layers' L2 is the paper's.
        optimizer=kind(
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
    trained.optimizer.build(trained.trainable_variables)


@contextmanager
def _float32() -> Iterator[None]:
    """Inside, what has no dtype of its own is float32: metrics and the loss's running mean would take Keras's `floatx`,
    and in float16 a count ends at 65,504."""
    floatx = keras.config.floatx()
    keras.config.set_floatx("float32")
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)


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
    """Compiles the trained model, so that whoever loads its file can `evaluate` it at once, and train on.

    Its optimizer is SGD with its momentum, whatever else the recipe needed of one; what was frozen is no longer, and
    has none.
    """
    if recipe.average_over:
        swap_averages(trained)
    model.trainable = True
    with _float32():
        optimizer = keras.optimizers.SGD(float(trained.optimizer.learning_rate), momentum=recipe.momentum, name="sgd")
        optimizer.build(model.trainable_variables)
    held = {_slot(variable): variable for variable in trained.optimizer.variables}
    for variable in optimizer.variables:
        if (slot := held.get(_slot(variable))) is not None:
            variable.assign(slot)
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])


def _slot(variable: keras.Variable) -> str:
    """An optimizer's variable without the optimizer's own name."""
    return str(variable.path.partition("/")[2])


def swap_averages(model: keras.Model) -> None:
    """Puts the averages of the weights in their place, and the weights in that of the averages; twice is nothing.

    Keras's `SwapEMAWeights` adds and subtracts on TensorFlow, which changes last digits.
    """
    averages = [variable for variable in model.optimizer.variables if variable.path.endswith("_average")]
    for weights, average in zip(model.trainable_variables, averages, strict=True):
        held = np.array(keras.ops.convert_to_numpy(weights))
        weights.assign(keras.ops.copy(average.value))
        average.assign(held)

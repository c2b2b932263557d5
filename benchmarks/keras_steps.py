"""The bare step of a Keras net: its layers, loss and optimizer in the hand-written training loop of Keras's guides.

No `fit`, no callbacks, no metrics, no data: time beyond this is due to our code or `fit`, and time here beyond that of
a native loop is due to the layers or the optimizer.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

Step = Callable[[Any], None]
"""Makes one update with a batch on the device; it may return before the update has finished."""


class KerasSteps:
    """Makes updates of a compiled model, one at a time."""

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        model.optimizer.build(model.trainable_variables)
        make = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
        self.to_device, self.step, self.wait = make[keras.backend.backend()](model)


Parts = tuple[Callable[[np.ndarray, np.ndarray], Any], Step, Callable[[], float]]
"""Moves a batch to the device, makes a step, and waits for the last step by reading its loss."""


def _tensorflow(model: keras.Model) -> Parts:
    import tensorflow as tf

    last = tf.Variable(0.0, trainable=False)

    @tf.function(jit_compile=model.jit_compile, autograph=False)
    def step(x: Any, y: Any) -> None:
        with tf.GradientTape() as tape:
            loss = model.loss(y, model(x, training=True)) + sum(model.losses)
        model.optimizer.apply(tape.gradient(loss, model.trainable_weights), model.trainable_variables)
        last.assign(loss)

    return (
        lambda x, y: (tf.constant(x), tf.constant(y)),
        lambda batch: step(*batch),
        lambda: float(last.numpy()),
    )


def _torch(model: keras.Model) -> Parts:
    import torch

    last = [torch.zeros(())]

    def to_device(x: np.ndarray, y: np.ndarray) -> Any:
        return keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(y)

    def step(batch: Any) -> None:
        x, y = batch
        loss = model.loss(y, model(x, training=True)) + sum(model.losses)
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            gradients = [variable.value.grad for variable in model.trainable_variables]
            model.optimizer.apply(gradients, model.trainable_variables)
        last[0] = loss.detach()

    return to_device, step, lambda: last[0].item()


def _jax(model: keras.Model) -> Parts:
    import jax

    def loss_of(trained: Any, other: Any, x: Any, y: Any) -> Any:
        logits, other, penalties = model.stateless_call(trained, other, x, training=True, return_losses=True)
        return model.loss(y, logits) + sum(penalties), other

    def update(state: Any, x: Any, y: Any) -> Any:
        trained, other, optimizer, _ = state
        (loss, other), gradients = jax.value_and_grad(loss_of, has_aux=True)(trained, other, x, y)
        trained, optimizer = model.optimizer.stateless_apply(optimizer, gradients, trained)
        return trained, other, optimizer, loss

    jitted = jax.jit(update, donate_argnums=0)
    variables = (model.trainable_variables, model.non_trainable_variables, model.optimizer.variables)
    # Copies: the step donates its buffers, and the model is used elsewhere.
    state = [(*([jax.numpy.array(variable.value) for variable in part] for part in variables), jax.numpy.zeros(()))]

    def step(batch: Any) -> None:
        state[0] = jitted(state[0], *batch)

    return lambda x, y: jax.device_put((x, y)), step, lambda: float(state[0][-1])

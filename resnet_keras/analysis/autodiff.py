"""Gradients by each backend's own means, for which Keras has no common name."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

Differentiated = Callable[[np.ndarray, np.ndarray], list[np.ndarray]]
"""From images and labels to the gradient with respect to each of the model's trainable variables."""


def differentiated(model: keras.Model) -> Differentiated:
    """The gradient of the cross-entropy, summed over a batch, in training mode: each batch has its own statistics.

    Args:
        model: from images to logits. On TensorFlow and PyTorch its moving statistics change with each call.
    """

    def loss(logits: Any, labels: Any) -> Any:
        return ops.sum(keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True))

    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            def taped(images: Any, labels: Any) -> Any:
                with tf.GradientTape() as tape:
                    value = loss(model(images, training=True), labels)
                return tape.gradient(value, [variable.value for variable in model.trainable_variables])

            gradient = tf.function(taped, reduce_retracing=True)

        case "jax":
            import jax

            def value(trained: Any, others: Any, images: Any, labels: Any) -> Any:
                logits, _ = model.stateless_call(trained, others, images, training=True)
                return loss(logits, labels)

            compiled = jax.jit(jax.grad(value))

            def gradient(images: Any, labels: Any) -> Any:
                trained, others = (
                    [variable.value for variable in variables]
                    for variables in (model.trainable_variables, model.non_trainable_variables)
                )
                return compiled(trained, others, images, labels)

        case _:
            import torch

            def gradient(images: Any, labels: Any) -> Any:
                value = loss(model(images, training=True), labels)
                return torch.autograd.grad(value, [variable.value for variable in model.trainable_variables])

    def arrays(images: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
        tensors = gradient(ops.convert_to_tensor(images), ops.convert_to_tensor(labels))
        return [ops.convert_to_numpy(tensor) for tensor in tensors]

    return arrays

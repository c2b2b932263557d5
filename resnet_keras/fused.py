"""Batch normalisation in one kernel while a net trains.

Keras 3.15 computes it as a chain of elementwise operations, each of which goes through memory. XLA fuses them on JAX;
on PyTorch and TensorFlow `fused` puts the backend's own kernel in their place. The variables are those of the stock
layers, so what is saved, and all numbers to rounding, stay as they were.
"""

from typing import Any

import keras

from resnet_keras.blocks import Tensor


def fused(model: keras.Model) -> keras.Model:
    """The same net on the same variables, its batch normalisations each in one kernel where the backend has one.

    Args:
        model: a functional model, nested ones included; it stays as it is.
    """
    kernel = _KERNELS.get(keras.backend.backend())
    if kernel is None:
        return model

    def replaced(layer: keras.layers.Layer) -> keras.layers.Layer:
        stock = type(layer) is keras.layers.BatchNormalization and layer.scale and layer.center and not layer.renorm
        return kernel(layer) if stock and layer.axis in (-1, 3) else layer

    return keras.models.clone_model(model, clone_function=replaced, recursive=True)


class _Fused(keras.layers.Layer):
    """Computes a batch normalisation of (batch, height, width, channels), on the variables of a stock layer."""

    def __init__(self, norm: keras.layers.BatchNormalization) -> None:
        super().__init__(name=f"{norm.name}_fused", dtype=norm.dtype_policy)
        self.norm = norm
        self.built = True

    def compute_output_spec(self, inputs: Tensor, training: bool | None = None, mask: None = None) -> Tensor:
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def call(self, inputs: Tensor, training: bool | None = None, mask: None = None) -> Tensor:
        norm = self.norm
        if not (training and norm.trainable):
            return norm(inputs, training=False)
        outputs, mean, variance = self.normalise(inputs)
        # As the stock layer does it, with the variance divided by n.
        for moving, now in ((norm.moving_mean, mean), (norm.moving_variance, variance)):
            moving.assign(moving * norm.momentum + now * (1.0 - norm.momentum))
        return outputs

    def normalise(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The outputs, and the mean and the variance of each channel of this batch."""
        raise NotImplementedError


class _Torch(_Fused):
    def normalise(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        import torch

        norm = self.norm
        # A view: in memory it is what PyTorch calls channels_last.
        outputs, mean, inverse = torch.native_batch_norm(
            inputs.movedim(3, 1), norm.gamma.value, norm.beta.value, None, None, True, 0.0, norm.epsilon
        )
        return outputs.movedim(1, 3), mean.detach(), inverse.detach() ** -2 - norm.epsilon


class _TensorFlow(_Fused):
    def normalise(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        import tensorflow as tf

        norm = self.norm
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, tf.convert_to_tensor(norm.gamma), tf.convert_to_tensor(norm.beta), epsilon=norm.epsilon
        )
        # The kernel's variance is divided by n - 1.
        values = tf.cast(tf.size(inputs) / tf.shape(inputs)[3], variance.dtype)
        return outputs, mean, variance * (values - 1) / values


_KERNELS: dict[str, Any] = {"torch": _Torch, "tensorflow": _TensorFlow}

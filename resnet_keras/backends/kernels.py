"""Batch normalisation, convolutions and pooling in one kernel each, for training and, on PyTorch, for testing.

Keras 3.15 computes batch normalisation as a chain of elementwise operations, each of which goes through memory. XLA
fuses them on JAX; `with_backend_kernels` replaces these layers by the backend's own kernel on TensorFlow, and makes a
program of the whole net on PyTorch. The variables are those of the stock layers, so saved files do not change, nor do
any values beyond rounding.

Upstream lacks: fused batch normalisation on TensorFlow; for PyTorch see `torch_kernels` and `torch_program`.
Delete when: `benchmarks/training.py --beside "keras step" "own step"` shows no difference between the two.
"""

from collections.abc import Iterable
from typing import Any

import keras

from resnet_keras.backends import distribution
from resnet_keras.backends.torch_program import as_program

Tensor = Any
"""A `keras.KerasTensor` or a backend's tensor: Keras has no public name for either."""


def with_backend_kernels(model: keras.Model) -> keras.Model:
    """The same net on the same variables, with as few passes through memory as the backend's kernels allow.

    Args:
        model: a functional model, nested ones included; it is left unchanged.

    Raises:
        ValueError: batch normalisation is to be synchronised, but has a form that cannot be.
    """
    match keras.backend.backend():
        case "tensorflow":
            return keras.models.clone_model(model, clone_function=_fused, recursive=True)
        case "torch":
            program = as_program(model)
            if program is model:
                distribution.refuse_synchronized(model.name)
            return program
        case _:
            return model


def for_testing(model: keras.Model) -> keras.Model:
    """The same net on the same variables; on PyTorch as a program, which frees tensors that no layer needs any more.

    Keras holds each layer's output to the end: 9.6 GB for ResNet-50 and 64 photographs (docs/performance.md). The other
    backends compile the whole net and free memory themselves.

    Args:
        model: functional or sequential, with one input and one output.
    """
    if keras.backend.backend() != "torch":
        return model
    return as_program(keras.Model(model.inputs[0], model.outputs[0], name=model.name))


def set_kernel_memory_format(variables: Iterable[keras.Variable]) -> None:
    """Lays out kernels in memory as PyTorch's convolutions read them; shapes and values stay the same.

    Keras's order is height, width, in, out, and PyTorch copies a kernel that is not laid out as out, height, width,
    in: in the forward pass, in the backward pass, and once more for its gradient.

    Args:
        variables: those of a net, or of its optimizer, which has one like each kernel.
    """
    if keras.backend.backend() != "torch":
        return
    for variable in variables:
        if len(variable.shape) == 4:
            held = variable.value
            held.data = held.data.permute(3, 0, 1, 2).contiguous().permute(1, 2, 3, 0)


def _fused(layer: keras.layers.Layer) -> keras.layers.Layer:
    """The replacement of a layer; the layer itself where there is nothing to gain."""
    if _is_usual(layer):
        return _Normalization(layer)
    if isinstance(layer, keras.layers.BatchNormalization):
        distribution.refuse_synchronized(layer.name)
    return layer


def _is_usual(layer: keras.layers.Layer) -> bool:
    """Whether a layer is batch normalisation without any option that its kernels lack."""
    if type(layer) is not keras.layers.BatchNormalization or layer.axis not in (-1, 3):
        return False
    known = layer.scale and layer.center and not layer.renorm and layer.activity_regularizer is None
    return bool(known and layer.input_spec.ndim == 4)


class _Normalization(keras.layers.Layer):
    """Normalises (batch, height, width, channels) as a stock layer does, on the variables of that layer."""

    def __init__(self, stock: keras.layers.BatchNormalization) -> None:
        super().__init__(name=f"{stock.name}_fused", dtype=stock.dtype_policy)
        self.stock = stock
        self.built = True

    def compute_output_spec(self, inputs: Tensor, training: bool | None = None, mask: None = None) -> Tensor:
        return keras.KerasTensor(self.stock.compute_output_shape(inputs.shape), dtype=self.compute_dtype)

    def call(self, inputs: Tensor, training: bool | None = None, mask: None = None) -> Tensor:
        import tensorflow as tf

        norm = self.stock
        if not (training and norm.trainable):
            return norm(inputs, training=False)
        gamma, beta = tf.convert_to_tensor(norm.gamma), tf.convert_to_tensor(norm.beta)
        if distribution.current().synchronized:
            mean, variance = distribution.current().moments(inputs)
            scale = gamma * tf.math.rsqrt(variance + norm.epsilon)
            outputs = tf.cast(tf.cast(inputs, scale.dtype) * scale + (beta - mean * scale), inputs.dtype)
        else:
            outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(inputs, gamma, beta, epsilon=norm.epsilon)
            # The kernel divides the variance by n - 1, the stock layer by n.
            values = tf.cast(tf.size(inputs, tf.int64) // inputs.shape[3], variance.dtype)
            variance *= (values - 1) / values
        for moving, now in ((norm.moving_mean, mean), (norm.moving_variance, variance)):
            moving.assign(moving * norm.momentum + now * (1.0 - norm.momentum))
        return outputs

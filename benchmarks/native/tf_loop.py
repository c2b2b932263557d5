"""TensorFlow without Keras: variables, `tf.nn`, fused batch normalisation, a `GradientTape` in one `tf.function`."""

from typing import Any

import numpy as np
import tensorflow as tf

from native.loop import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, MOMENTUM, WEIGHT_DECAY, Weights
from resnet_keras.spec.architecture import Architecture, Convolution, Unit

Tensor = Any
"""A `tf.Tensor`, symbolic or eager."""


class ConvBN(tf.Module):
    def __init__(self, convolution: Convolution) -> None:
        super().__init__()
        size, filters = convolution.kernel_size, convolution.filters
        self.key, self.strides, self.padding = convolution.name, convolution.strides, size // 2
        self.kernel = tf.Variable(_he_normal((size, size, convolution.filters_in, filters)))
        self.gamma, self.beta = tf.Variable(tf.ones(filters)), tf.Variable(tf.zeros(filters))
        self.mean = tf.Variable(tf.zeros(filters), trainable=False)
        self.variance = tf.Variable(tf.ones(filters), trainable=False)

    def __call__(self, x: Tensor, training: bool) -> Tensor:
        if self.strides > 1 and self.padding:
            # Twice as fast on a CPU as the same padding through conv2d's own `padding`.
            x = tf.pad(x, [[0, 0], [self.padding] * 2, [self.padding] * 2, [0, 0]])
        x = tf.nn.conv2d(x, tf.cast(self.kernel, x.dtype), self.strides, "SAME" if self.strides == 1 else "VALID")
        x, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=self.gamma,
            offset=self.beta,
            mean=self.mean,
            variance=self.variance,
            epsilon=BATCH_NORM_EPSILON,
            # In training, the op returns the updated moving averages, that of the variance unbiased.
            exponential_avg_factor=1 - BATCH_NORM_MOMENTUM,
            is_training=training,
        )
        if training:
            self.mean.assign(mean)
            self.variance.assign(variance)
        return x


class Residual(tf.Module):
    def __init__(self, unit: Unit) -> None:
        super().__init__()
        self.unit = unit
        self.convolutions = [ConvBN(convolution) for convolution in unit.convolutions]
        self.projection = ConvBN(unit.projection) if unit.projection else None

    def __call__(self, x: Tensor, training: bool) -> Tensor:
        *inner, last = self.convolutions
        residual = x
        for conv_bn in inner:
            residual = tf.nn.relu(conv_bn(residual, training))
        residual = last(residual, training)
        match self.unit.shortcut:
            case None:
                return tf.nn.relu(residual)
            case "pad":  # option A: every second pixel, and channels of zeros
                strides, added = self.unit.strides, self.unit.filters - self.unit.filters_in
                x = tf.pad(x[:, ::strides, ::strides], [[0, 0], [0, 0], [0, 0], [0, added]])
            case "project":
                assert self.projection is not None
                x = self.projection(x, training)
        return tf.nn.relu(x + residual)


class ResNet(tf.Module):
    def __init__(self, architecture: Architecture, mean: np.ndarray, dtype: tf.DType) -> None:
        super().__init__()
        units = list(architecture.units())
        self.dtype, self.pool = dtype, architecture.stem.pool
        self.subtracted = tf.constant(mean, tf.float32)
        self.conv1 = ConvBN(architecture.stem_convolution)
        self.units = [Residual(unit) for unit in units]
        self.kernel = tf.Variable(_he_normal((units[-1].filters, architecture.num_classes)))
        self.bias = tf.Variable(tf.zeros(architecture.num_classes))

    def __call__(self, images: Tensor, training: bool) -> Tensor:
        x = tf.cast(tf.cast(images, tf.float32) - self.subtracted, self.dtype)
        x = tf.nn.relu(self.conv1(x, training))
        if self.pool:
            # Whatever the image, the output of a ReLU is never below the zeros of the padding.
            x = tf.nn.max_pool2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 3, 2, "VALID")
        for unit in self.units:
            x = unit(x, training)
        return tf.reduce_mean(tf.cast(x, tf.float32), (1, 2)) @ self.kernel + self.bias


class TensorFlowLoop:
    """See `native.loop.Loop`."""

    def __init__(
        self, architecture: Architecture, mean: np.ndarray, *, bfloat16: bool, learning_rate: float, compiled: bool
    ) -> None:
        self.net = ResNet(architecture, mean, tf.bfloat16 if bfloat16 else tf.float32)
        variables = self.net.trainable_variables
        velocities = [tf.Variable(tf.zeros_like(variable), trainable=False) for variable in variables]
        self._loss, self._right = tf.Variable(0.0, trainable=False), tf.Variable(0, trainable=False)
        self._seen = 0

        @tf.function(jit_compile=compiled, autograph=False)
        def step(images: Tensor, labels: Tensor) -> None:
            with tf.GradientTape() as tape:
                logits = self.net(images, training=True)
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
            for variable, velocity, gradient in zip(variables, velocities, tape.gradient(loss, variables), strict=True):
                velocity.assign(MOMENTUM * velocity + gradient + WEIGHT_DECAY * variable)
                variable.assign_sub(learning_rate * velocity)
            right = tf.argmax(logits, 1, tf.int32) == labels
            self._loss.assign_add(loss * tf.cast(tf.size(labels), tf.float32))
            self._right.assign_add(tf.math.count_nonzero(right, dtype=tf.int32))

        self._step = step

    @property
    def parameters(self) -> int:
        return sum(int(tf.size(variable)) for variable in self.net.trainable_variables)

    def load(self, weights: Weights) -> None:
        for part in self.net.submodules:
            if isinstance(part, ConvBN):
                arrays = (*weights[f"{part.key}_conv"], *weights[f"{part.key}_bn"])
                targets = (part.kernel, part.gamma, part.beta, part.mean, part.variance)
                for target, source in zip(targets, arrays, strict=True):
                    target.assign(source)
        for target, source in zip((self.net.kernel, self.net.bias), weights["predictions"], strict=True):
            target.assign(source)

    def logits(self, x: np.ndarray) -> np.ndarray:
        return self.net(tf.constant(x), training=False).numpy()

    def to_device(self, x: np.ndarray, y: np.ndarray) -> tuple[Tensor, Tensor]:
        return tf.constant(x), tf.constant(y)

    def step(self, batch: tuple[Tensor, Tensor]) -> None:
        self._step(*batch)
        self._seen += len(batch[1])

    def measure(self) -> tuple[float, float]:
        seen = max(self._seen, 1)
        measured = float(self._loss.numpy()) / seen, float(self._right.numpy()) / seen
        self._loss.assign(0.0)
        self._right.assign(0)
        self._seen = 0
        return measured


def _he_normal(shape: tuple[int, ...]) -> Tensor:
    return tf.random.normal(shape, stddev=float(np.sqrt(2 / np.prod(shape[:-1]))))

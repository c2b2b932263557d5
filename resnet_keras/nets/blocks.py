"""The parts that networks are made of: section 3.2 and Figure 5. Tensor in, tensor out, stock Keras layers only.

Every convolution has no bias, symmetric padding (as in Caffe, where the paper's nets were trained) and is followed by
batch normalisation. Layer names are those of `keras.applications`: `conv2_block1_1_conv`, `conv2_block1_1_bn`, ...
"""

import zlib
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from resnet_keras.spec.architecture import Convolution, Unit
from resnet_keras.spec.recipe import Precision

Tensor = Any
"""A `keras.KerasTensor`: Keras has no public name for what a functional graph passes on."""

BATCH_NORM_MOMENTUM = 0.9
"""Share of the old moving statistics kept at each update, as in the ports of the paper. Keras: 0.99."""
BATCH_NORM_EPSILON = 1e-5
"""Added to the variance, as in Caffe. Keras: 1e-3."""


@dataclass(frozen=True)
class LayerFactory:
    """Makes layers with the paper's initialisation (section 3.4: He et al. 2015) and weight decay.

    Attributes:
        weight_decay: the paper's; Keras's `L2(l)` has the gradient 2lw, so layers get half of it.
        seed: random seed of the initial weights. A kernel depends on it and on its layer's name alone, so the plain and
            the residual net of one seed start from the same convolutions.
        zero_gamma: whether the last normalisation of a residual starts at 0 instead of 1.
        precision: what the layers compute in; None is Keras's policy of this process.
    """

    weight_decay: float
    seed: int
    zero_gamma: bool = False
    precision: Precision | None = None

    def conv_bn(self, x: Tensor, convolution: Convolution, *, relu: str | None, gamma: str = "ones") -> Tensor:
        """Convolution, batch normalisation whose gamma starts as told and, where `relu` names it, a ReLU."""
        name = convolution.name
        padding = convolution.kernel_size // 2
        asymmetric = convolution.strides > 1 and padding > 0
        if asymmetric:
            # Keras's "same" pads a strided convolution more on the right and bottom.
            x = layers.ZeroPadding2D(padding, data_format="channels_last", dtype=self.precision, name=f"{name}_pad")(x)
        x = layers.Conv2D(
            convolution.filters,
            convolution.kernel_size,
            strides=convolution.strides,
            padding="valid" if asymmetric else "same",
            data_format="channels_last",
            use_bias=False,
            kernel_initializer=self._he_normal(name),
            kernel_regularizer=self._l2(),
            dtype=self.precision,
            name=f"{name}_conv",
        )(x)
        x = layers.BatchNormalization(
            axis=-1,
            momentum=BATCH_NORM_MOMENTUM,
            epsilon=BATCH_NORM_EPSILON,
            gamma_initializer=gamma,
            gamma_regularizer=self._l2(),
            beta_regularizer=self._l2(),
            dtype=self.precision,
            name=f"{name}_bn",
        )(x)
        return layers.Activation("relu", dtype=self.precision, name=relu)(x) if relu else x

    def unit(self, x: Tensor, unit: Unit) -> Tensor:
        """A basic or bottleneck unit: the ReLU comes after the addition."""
        *inner, last = unit.convolutions
        residual = x
        for convolution in inner:
            residual = self.conv_bn(residual, convolution, relu=f"{convolution.name}_relu")
        if unit.shortcut is None:
            return self.conv_bn(residual, last, relu=f"{unit.name}_out")
        residual = self.conv_bn(residual, last, relu=None, gamma="zeros" if self.zero_gamma else "ones")
        total = layers.Add(dtype=self.precision, name=f"{unit.name}_add")([self.shortcut(x, unit), residual])
        return layers.Activation("relu", dtype=self.precision, name=f"{unit.name}_out")(total)

    def shortcut(self, x: Tensor, unit: Unit) -> Tensor:
        """What is added to the residual: options A, B and C of section 4.1."""
        if unit.projection is not None:
            return self.conv_bn(x, unit.projection, relu=None)
        if unit.shortcut == "identity":
            return x
        if unit.strides > 1:
            x = layers.AveragePooling2D(
                1,
                strides=unit.strides,
                data_format="channels_last",
                dtype=self.precision,
                name=f"{unit.name}_0_subsample",
            )(x)
        added = unit.filters - unit.filters_in
        if added:
            # With the other data format the "width" that ZeroPadding2D pads is the channel axis: no custom layer in
            # the file.
            x = layers.ZeroPadding2D(
                ((0, 0), (0, added)), data_format="channels_first", dtype=self.precision, name=f"{unit.name}_0_pad"
            )(x)
        return x

    def classifier(self, x: Tensor, num_classes: int) -> Tensor:
        """Global average pooling, dense layer, softmax: float32 under mixed precision too."""
        x = layers.GlobalAveragePooling2D(data_format="channels_last", dtype="float32", name="avg_pool")(x)
        return self.softmax(self.dense(x, num_classes, "predictions"))

    def dense(self, x: Tensor, units: int, name: str) -> Tensor:
        """A dense layer with bias and without activation, in float32."""
        return layers.Dense(
            units,
            kernel_initializer=self._he_normal(name),
            kernel_regularizer=self._l2(),
            bias_regularizer=self._l2(),
            dtype="float32",
            name=name,
        )(x)

    def softmax(self, x: Tensor) -> Tensor:
        """The last layer of every network: training takes it off and works on the logits."""
        return layers.Activation("softmax", dtype="float32", name="probabilities")(x)

    def _he_normal(self, name: str) -> keras.initializers.Initializer:
        # Keras's HeNormal is truncated; the paper's is not.
        state = np.random.SeedSequence([self.seed, zlib.crc32(name.encode())]).generate_state(1)
        return keras.initializers.VarianceScaling(
            2.0, mode="fan_in", distribution="untruncated_normal", seed=int(state[0] >> 1)
        )

    def _l2(self) -> keras.regularizers.Regularizer | None:
        return keras.regularizers.L2(self.weight_decay / 2) if self.weight_decay else None

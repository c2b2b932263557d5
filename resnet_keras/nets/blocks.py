"""The parts that networks are made of (section 3.2, Figure 5): tensor in, tensor out, stock Keras layers only.

Every convolution has symmetric padding (as in Caffe, where the paper's nets were trained); in plain and residual nets
it has no bias and is followed by batch normalisation. Layer names are those of `keras.applications`:
`conv2_block1_1_conv`, `conv2_block1_1_bn`, ...
"""

import zlib
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
from keras import layers

from resnet_keras.spec.architecture import Convolution, Unit
from resnet_keras.spec.recipe import Fan, Precision

Tensor = Any
"""A `keras.KerasTensor`: Keras has no public name for what a functional graph passes between layers."""

BATCH_NORM_MOMENTUM = 0.9
"""Share of the old moving statistics kept at each update, as in ports of the paper's nets. Keras's default is 0.99."""
BATCH_NORM_EPSILON = 1e-5
"""Added to the variance, as in Caffe. Keras's default is 1e-3."""


@dataclass(frozen=True)
class Initialisation:
    """Initial values of kernels and biases, in the terms of `keras.initializers.VarianceScaling`.

    Attributes:
        scale: variance of a kernel's weights times the fan.
        fan: which fan that is.
        distribution: distribution of a kernel's weights.
        bias: initial bias of convolutions that have one.
    """

    scale: float
    fan: Literal["fan_in", "fan_out", "fan_avg"]
    distribution: Literal["untruncated_normal", "uniform"]
    bias: float = 0.0


HE: dict[Fan, Initialisation] = {
    "fan_in": Initialisation(2.0, "fan_in", "untruncated_normal"),
    "fan_out": Initialisation(2.0, "fan_out", "untruncated_normal"),
}
"""Section 3.4: He et al. 2015, Eqn. (10) and (14). Keras's HeNormal is truncated, unlike the paper's."""


@dataclass(frozen=True)
class LayerFactory:
    """Makes layers with a paper's initialisation and weight decay.

    Attributes:
        weight_decay: as in the paper; the gradient of Keras's `L2(l)` is 2lw, so layers get half of it.
        seed: random seed of the initial weights. A kernel depends only on the seed and its layer's name, so the plain
            and the residual net of one seed start from the same convolutions.
        zero_gamma: whether gamma of the last normalisation in each residual starts at 0 instead of 1.
        precision: what the layers compute in; None is Keras's global dtype policy.
        initialisation: initial values of kernels and biases.
    """

    weight_decay: float
    seed: int
    zero_gamma: bool = False
    precision: Precision | None = None
    initialisation: Initialisation = HE["fan_in"]

    @property
    def variable_dtype(self) -> str:
        """Dtype of the weights: float32 in mixed precision."""
        return str(keras.dtype_policies.get(self.precision or keras.config.dtype_policy()).variable_dtype)

    def conv_bn(self, x: Tensor, convolution: Convolution, *, relu: str | None, gamma: str = "ones") -> Tensor:
        """Convolution, batch normalisation with gamma initialised as given and, if `relu` names one, a ReLU."""
        name = convolution.name
        x = self.conv(x, convolution, use_bias=False)
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

    def conv(self, x: Tensor, convolution: Convolution, *, use_bias: bool) -> Tensor:
        """A convolution with symmetric padding and no activation."""
        name = convolution.name
        padding = convolution.kernel_size // 2
        asymmetric = convolution.strides > 1 and padding > 0
        if asymmetric:
            # Keras's "same" pads a strided convolution more on the right and bottom.
            x = layers.ZeroPadding2D(padding, data_format="channels_last", dtype=self.precision, name=f"{name}_pad")(x)
        return layers.Conv2D(
            convolution.filters,
            convolution.kernel_size,
            strides=convolution.strides,
            padding="valid" if asymmetric else "same",
            data_format="channels_last",
            use_bias=use_bias,
            kernel_initializer=self._kernel_initializer(name),
            bias_initializer=keras.initializers.Constant(self.initialisation.bias) if use_bias else "zeros",
            kernel_regularizer=self._l2(),
            bias_regularizer=self._l2() if use_bias else None,
            dtype=self.precision,
            name=f"{name}_conv",
        )(x)

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
            # In the other data format, the "width" that ZeroPadding2D pads is the channel axis, so the saved file
            # needs no custom layer.
            x = layers.ZeroPadding2D(
                ((0, 0), (0, added)), data_format="channels_first", dtype=self.precision, name=f"{unit.name}_0_pad"
            )(x)
        return x

    def classifier(self, x: Tensor, num_classes: int) -> Tensor:
        """Global average pooling, dense layer, softmax: in float32 even under mixed precision."""
        x = layers.GlobalAveragePooling2D(data_format="channels_last", dtype="float32", name="avg_pool")(x)
        return self.softmax(self.dense(x, num_classes, "predictions"))

    def dense(self, x: Tensor, units: int, name: str) -> Tensor:
        """A dense layer with bias and without activation, in float32."""
        return layers.Dense(
            units,
            kernel_initializer=self._kernel_initializer(name),
            kernel_regularizer=self._l2(),
            bias_regularizer=self._l2(),
            dtype="float32",
            name=name,
        )(x)

    def softmax(self, x: Tensor) -> Tensor:
        """The last layer of every network: training removes it and works on the logits."""
        return layers.Activation("softmax", dtype="float32", name="probabilities")(x)

    def seed_of(self, name: str) -> int:
        """The random seed of the layer with this name."""
        state = np.random.SeedSequence([self.seed, zlib.crc32(name.encode())]).generate_state(1)
        return int(state[0] >> 1)

    def _kernel_initializer(self, name: str) -> keras.initializers.Initializer:
        start = self.initialisation
        return keras.initializers.VarianceScaling(
            start.scale, mode=start.fan, distribution=start.distribution, seed=self.seed_of(name)
        )

    def _l2(self) -> keras.regularizers.Regularizer | None:
        return keras.regularizers.L2(self.weight_decay / 2) if self.weight_decay else None

"""The body of a plain or residual network: stem, units and classifier (section 3.3)."""

from collections.abc import Sequence

import keras
from keras import layers

from resnet_keras.nets.blocks import LayerFactory, Tensor
from resnet_keras.spec.architecture import Architecture, Unit

FLAT_DEPTH = 152
"""Depth up to which the graph is flat. Keras walks it recursively: at Python's recursion limit 182 load, 362 do not."""
UNITS_PER_GROUP = 20
"""Units in each nested model of a deeper net."""


def residual_body(make: LayerFactory, x: Tensor, net: Architecture) -> Tensor:
    """Maps the mean-subtracted image, (batch, image_size, image_size, 3), to probabilities, (batch, num_classes)."""
    x = make.conv_bn(x, net.stem_convolution, relu="conv1_relu")
    if net.stem.pool:
        # Padding with zeros, which are never larger than the output of a ReLU.
        padding = 1 if net.stem.pool_padding == "both" else ((0, 1), (0, 1))
        x = layers.ZeroPadding2D(padding, data_format="channels_last", dtype=make.precision, name="pool1_pad")(x)
        x = layers.MaxPooling2D(3, strides=2, data_format="channels_last", dtype=make.precision, name="pool1_pool")(x)

    units = list(net.units())
    if net.depth <= FLAT_DEPTH:
        x = _chain(make, x, units)
    else:
        for start in range(0, len(units), UNITS_PER_GROUP):
            group = units[start : start + UNITS_PER_GROUP]
            name = f"{group[0].name}_to_{group[-1].name}"
            # In mixed precision, not what `x` computes in: copies keep it, also those that compute in float32.
            group_input = keras.Input(x.shape[1:], dtype=make.variable_dtype, name=f"{name}_input")
            x = keras.Model(group_input, _chain(make, group_input, group), name=name)(x)
    return make.classifier(x, net.num_classes)


def _chain(make: LayerFactory, x: Tensor, units: Sequence[Unit]) -> Tensor:
    for unit in units:
        x = make.unit(x, unit)
    return x

"""The body of PReLU-net (He et al. 2015a, Table 3)."""

from dataclasses import replace

from keras import layers

from resnet_keras.nets.baselines.layers import convolution, dense_classifier, max_pool
from resnet_keras.nets.blocks import HE, LayerFactory, Tensor
from resnet_keras.spec.baselines.layers import Pool
from resnet_keras.spec.baselines.prelu_net import PReluNet

PIXELS_STD = 58.0
"""Divisor of pixels 0..255: the standard deviation of ImageNet's photographs, 0.226 x 255 on average. The paper does
not give one; without it, the second update overflows at the paper's initialisation and rate (docs/deviations.md)."""
DROPOUT = 0.5
"""Dropout rate of the first two dense layers (section 2.3)."""


def prelu_net_body(make: LayerFactory, x: Tensor, net: PReluNet) -> Tensor:
    """Maps the mean-subtracted image to probabilities."""
    make = replace(make, initialisation=HE["fan_out"])  # section 2.2: "we use Eqn.(14)"
    x = layers.Rescaling(1 / PIXELS_STD, dtype="float32", name="scale")(x)
    for layer in net.layers():
        x = max_pool(make, x, layer) if isinstance(layer, Pool) else convolution(make, x, layer)
    levels = []
    for level in net.levels():
        name = f"pyramid_{level.bins}x{level.bins}"
        pooled = layers.MaxPooling2D(
            level.size, strides=level.strides, data_format="channels_last", dtype=make.precision, name=name
        )(x)
        levels.append(layers.Flatten(data_format="channels_last", dtype="float32", name=f"{name}_flatten")(pooled))
    x = layers.Concatenate(dtype="float32", name="pyramid")(levels) if len(levels) > 1 else levels[0]
    return dense_classifier(make, x, net.dense_layers(), DROPOUT)

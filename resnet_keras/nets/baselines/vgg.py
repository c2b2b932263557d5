"""The body of VGG-16 and VGG-19 (Simonyan and Zisserman 2015, Table 1)."""

from dataclasses import replace

from keras import layers

from resnet_keras.nets.baselines.layers import convolution, dense_classifier, max_pool
from resnet_keras.nets.blocks import Initialisation, LayerFactory, Tensor
from resnet_keras.spec.baselines.layers import Pool
from resnet_keras.spec.baselines.vgg import Vgg

GLOROT = Initialisation(1.0, "fan_avg", "uniform")
"""Section 3.1: "it is possible to initialise the weights without pre-training", as in Glorot and Bengio 2010."""
DROPOUT = 0.5
"""Dropout rate of the first two dense layers (section 3.1)."""


def vgg_body(make: LayerFactory, x: Tensor, net: Vgg) -> Tensor:
    """Maps the mean-subtracted image to probabilities."""
    make = replace(make, initialisation=GLOROT)
    for layer in net.layers():
        x = max_pool(make, x, layer) if isinstance(layer, Pool) else convolution(make, x, layer)
    x = layers.Flatten(data_format="channels_last", dtype="float32", name="flatten")(x)
    return dense_classifier(make, x, net.dense_layers(), DROPOUT)

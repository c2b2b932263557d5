"""The body of GoogLeNet (Szegedy et al. 2015, Table 1 and section 5)."""

from dataclasses import replace

from keras import layers

from resnet_keras.nets.baselines.inception import inception_module
from resnet_keras.nets.baselines.layers import (
    activation,
    convolution,
    dropout,
    local_response_normalization,
    max_pool,
)
from resnet_keras.nets.blocks import Initialisation, LayerFactory, Tensor
from resnet_keras.spec.baselines.googlenet import HEAD_POOL, HEAD_STRIDES, GoogLeNet, Head
from resnet_keras.spec.baselines.inception import Module
from resnet_keras.spec.baselines.layers import Pool

XAVIER = Initialisation(1.0, "fan_in", "uniform", bias=0.2)
"""Initialisation in Caffe's `bvlc_googlenet`; the paper does not give one."""
DROPOUT, HEAD_DROPOUT = 0.4, 0.7
"""Dropout rates before the last dense layer and in an auxiliary classifier (section 5)."""


def googlenet_body(make: LayerFactory, x: Tensor, net: GoogLeNet) -> Tensor | list[Tensor]:
    """Maps the mean-subtracted image to probabilities; with auxiliary classifiers, to a list, the net's own first."""
    make = replace(make, initialisation=XAVIER)
    heads = net.heads()
    auxiliary = []
    for layer in net.layers():
        if isinstance(layer, Module):
            x = inception_module(make, x, layer, convolution)
        elif isinstance(layer, Pool):
            # Caffe's `bvlc_googlenet` normalises on both sides of the two convolutions between the pools.
            if layer.name == "pool2":
                x = local_response_normalization(x, "norm2")
            x = max_pool(make, x, layer)
            if layer.name == "pool1":
                x = local_response_normalization(x, "norm1")
        else:
            x = convolution(make, x, layer)
        if layer.name in heads:
            auxiliary.append(_head(make, x, heads[layer.name]))
    x = layers.GlobalAveragePooling2D(data_format="channels_last", dtype="float32", name="avg_pool")(x)
    x = dropout(make, x, DROPOUT, "dropout")
    last = net.predictions
    probabilities = make.softmax(make.dense(x, last.units, last.name))
    return [probabilities, *auxiliary] if auxiliary else probabilities


def _head(make: LayerFactory, x: Tensor, head: Head) -> Tensor:
    hidden, last = head.dense_layers
    x = layers.AveragePooling2D(
        HEAD_POOL, strides=HEAD_STRIDES, data_format="channels_last", dtype=make.precision, name=f"{head.name}_pool"
    )(x)
    x = convolution(make, x, head.convolution)
    x = layers.Flatten(data_format="channels_last", dtype="float32", name=f"{head.name}_flatten")(x)
    x = activation(make.dense(x, hidden.units, hidden.name), "relu", hidden.name, "float32")
    x = dropout(make, x, HEAD_DROPOUT, f"{head.name}_dropout")
    x = make.dense(x, last.units, last.name)
    return layers.Activation("softmax", dtype="float32", name=f"{head.name}_probabilities")(x)

"""The Inception modules of GoogLeNet and BN-Inception."""

from collections.abc import Callable
from typing import Any

from keras import layers

from resnet_keras.nets.blocks import LayerFactory, Tensor
from resnet_keras.spec.baselines.inception import Branch, Module

Conv = Callable[[LayerFactory, Tensor, Any], Tensor]
"""Makes one of the net's convolutions with the layers that follow it."""


def inception_module(make: LayerFactory, x: Tensor, module: Module, conv: Conv) -> Tensor:
    """The branches of a module, concatenated."""
    outputs = []
    for branch in module.branches:
        y = _pool(make, x, branch, module) if branch.pool else x
        for convolution in branch.convolutions:
            y = conv(make, y, convolution)
        outputs.append(y)
    return layers.Concatenate(axis=-1, dtype=make.precision, name=module.name)(outputs)


def _pool(make: LayerFactory, x: Tensor, branch: Branch, module: Module) -> Tensor:
    """A 3x3 pool: padded by one pixel on every side at stride 1, rounded up as in Caffe at stride 2.

    Padding is with zeros: the inputs of a max pool are 0 or above, and an average counts the zeros, as in Caffe. Two
    pixels of padding make one more window than in Caffe at odd sizes only, where the parallel convolutions have one
    more too; in Caffe the two do not match.
    """
    around = (1, 1) if module.strides == 1 else (0, 2)
    x = layers.ZeroPadding2D(
        (around, around), data_format="channels_last", dtype=make.precision, name=f"{module.name}_pool_pad"
    )(x)
    kind = layers.MaxPooling2D if branch.pool == "max" else layers.AveragePooling2D
    return kind(
        3, strides=module.strides, data_format="channels_last", dtype=make.precision, name=f"{module.name}_pool"
    )(x)

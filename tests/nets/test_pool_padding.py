"""The max pool of the released nets: Caffe does not pad it, and rounds its output's size up."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest

from resnet_keras import InvalidValue, build, imagenet
from resnet_keras.nets.fully_convolutional import fully_convolutional
from resnet_keras.spec.architecture import Architecture, Stage, Stem
from resnet_keras.spec.kinds import network_from_dict


def net(size, padding):
    stem = Stem(4, 7, 2, True, padding)
    return Architecture(stem, (Stage(2, 1, 1), Stage(4, 1, 2)), "bottleneck", "B", 3, size, "1x1", "channel")


def pooled_in_caffe(x):
    """Caffe's PoolingLayer by hand: windows that start inside the map, clipped to it."""
    size = -(-(x.shape[1] - 3) // 2) + 1
    rows = [x[:, 2 * row : 2 * row + 3].max(axis=1) for row in range(size)]
    return np.stack(
        [np.stack([row[:, 2 * column : 2 * column + 3].max(axis=1) for column in range(size)], 1) for row in rows], 1
    )


@pytest.mark.parametrize("size", [32, 33, 35, 36])
def test_it_pools_as_caffe_does(size):
    ours = net(size, "end")
    model = build(ours)
    parts = keras.Model(model.input, [model.get_layer(name).output for name in ("conv1_relu", "pool1_pool")])
    image = np.random.default_rng(size).integers(0, 256, (2, size, size, 3)).astype(np.uint8)
    before, after = map(keras.ops.convert_to_numpy, parts(image))
    np.testing.assert_array_equal(after, pooled_in_caffe(before))
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(fully_convolutional(model)(image)),
        keras.ops.convert_to_numpy(model(image)),
        atol=1e-6,
    )


@pytest.mark.any_backend
@pytest.mark.parametrize(("padding", "pooled"), [("both", 9), ("end", 8)])  # from 17 pixels
def test_the_size_behind_it_is_counted(padding, pooled):
    sizes = {convolution.name: size for convolution, size in net(33, padding).sized_convolutions()}
    assert sizes["conv2_block1_1"] == pooled


@pytest.mark.any_backend
def test_descriptions_are_as_before_where_it_is_as_before():
    usual = imagenet(50)
    assert usual.to_dict()["stem"] == {"filters": 64, "kernel_size": 7, "strides": 2, "pool": True}
    released = replace(usual, stem=replace(usual.stem, pool_padding="end"))
    written = json.loads(json.dumps(released.to_dict()))
    assert written["stem"]["pool_padding"] == "end"
    assert network_from_dict(written) == released != usual
    for stem in ({"pool_padding": "same"}, {"pool_padding": None}, {"pool": False}, {"pool_padded": "end"}):
        with pytest.raises(InvalidValue):
            network_from_dict(written | {"stem": written["stem"] | stem})

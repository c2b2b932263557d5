"""Features inside a net: the output of a layer, by name."""

from difflib import get_close_matches
from typing import Any

import keras

from resnet_keras.errors import InvalidValue, shown
from resnet_keras.nets.build import every_layer
from resnet_keras.nets.serializing import without_tensorflow


def features(model: keras.Model, layer_name: str = "avg_pool") -> keras.Model:
    """The net up to a layer, sharing the same variables.

    Args:
        model: any functional model; layers inside nested models, as in nets of more than 152 layers, are found too.
        layer_name: as in `keras.applications`: "avg_pool" is what the last dense layer sees, "conv2_block1_out" the
            first unit's output.

    Returns:
        A model from the images to the layer's output: (batch, features) for "avg_pool", (batch, height, width, filters)
        for layers before it.

    Raises:
        ValueError: no such layer.
    """
    names = [layer.name for layer in every_layer(model)]
    if layer_name not in names:
        near = get_close_matches(layer_name, names, n=1)
        raise InvalidValue(
            f"{model.name} has {len(names)} layers. Received: {shown(layer_name)}, which is not one of them. "
            f"{f'Nearest: {near[0]}' if near else f'Last layer: {names[-1]}'}."
        )
    if layer_name in [layer.name for layer in model.layers]:
        return keras.Model(model.input, model.get_layer(layer_name).output, name=f"{model.name}_{layer_name}")
    found: list[Any] = []

    def called(layer: keras.layers.Layer, inputs: Any, **_: Any) -> Any:
        # A nested model has a graph of its own, which is followed anew from the inputs of this call.
        if isinstance(layer, keras.Model) and layer_name in [inner.name for inner in every_layer(layer)]:
            found.append(features(layer, layer_name)(inputs))
        return layer(inputs)

    with without_tensorflow():
        whole = keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=called)
    return keras.Model(whole.input, found[0], name=f"{model.name}_{layer_name}")

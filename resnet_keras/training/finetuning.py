"""Starting a net from the weights of another, and the learning rates of its old layers."""

import keras

from resnet_keras.errors import InvalidValue
from resnet_keras.nets.build import every_layer, network_of, subtract_mean
from resnet_keras.spec.finetune import FineTune, head
from resnet_keras.spec.network import Network


def start_from(model: keras.Model, old: keras.Model, finetune: FineTune) -> None:
    """Copies another net's mean and all its weights but the last layer's, and freezes what is to be frozen.

    Args:
        model: one that `build` made, for its own classes.
        old: a net with the same layers, as `load` opens it.
        finetune: what to freeze.

    Raises:
        ValueError: the nets' layers differ, or the net lacks what is to be frozen.
    """
    network, frozen = _network(model), finetune.frozen(_network(model))
    numbers = {layer.name: layer.get_weights() for layer in every_layer(old)}
    new = _layers_of({head(network)})
    for layer in every_layer(model):
        if isinstance(layer, keras.layers.Normalization):
            continue
        theirs, shapes = numbers.get(layer.name, []), [tuple(weight.shape) for weight in layer.weights]
        if layer.name not in new:
            if [array.shape for array in theirs] != shapes:
                raise InvalidValue(
                    f"Fine-tuning starts from a net with the same layers. Received: {old.name} for {model.name}, which "
                    f"differ in {layer.name}."
                )
            layer.set_weights(theirs)
        if layer.name in _layers_of(frozen):
            layer.trainable = False
    mean = numbers["mean"][0]
    mean = mean.reshape(mean.shape[-3:]) if mean.ndim > 2 else mean.reshape(-1)
    subtract_mean(model, mean if mean.shape == model.input_shape[1:] or mean.ndim == 1 else mean.mean(axis=(0, 1)))


def rate_shares(model: keras.Model, finetune: FineTune | None) -> list[float]:
    """Share of the learning rate for each trained variable, in the model's order."""
    if finetune is None:
        return [1.0] * len(model.trainable_variables)
    new = _layers_of({head(_network(model))})
    owners = {id(weight): layer.name for layer in every_layer(model) for weight in layer.weights}
    return [1.0 if owners[id(weight)] in new else finetune.old_rate for weight in model.trainable_variables]


def _network(model: keras.Model) -> Network:
    network = network_of(model)
    if network is None:
        raise InvalidValue(f"Fine-tuning takes a net made by build or load. Received: {model.name!r}.")
    return network


def _layers_of(weighted: set[str] | frozenset[str]) -> set[str]:
    """Names of the Keras layers of weighted layers: the layer itself, or a convolution and its batch normalisation."""
    return {f"{name}{part}" for name in weighted for part in ("", "_conv", "_bn")}

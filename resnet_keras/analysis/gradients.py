"""What reaches each unit and kernel in the backward pass: section 1's vanishing gradients, and Eqn. (1)'s shortcut.

For a unit y = relu(F(x) + s(x)) with the gradient g of the loss at the sum, the gradient at x is J_s^T g + J_F^T g.
"""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from resnet_keras.analysis.autodiff import differentiated
from resnet_keras.analysis.nets import Net, rewired
from resnet_keras.data.dataset import Batch
from resnet_keras.errors import InvalidValue
from resnet_keras.spec.architecture import Architecture, Unit
from resnet_keras.spec.measurements import Gradients, State, UnitGradient

BATCH = 128
"""Images in a batch, as in training (section 4.2): batch normalisation takes its statistics from them."""


class Probe(layers.Layer):
    """Adds zeros; the gradient with respect to them is that with respect to the layer's input.

    Args:
        images: most images in a batch.
        name: name of the layer.
    """

    def __init__(self, images: int, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        self._images = images

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates the zeros."""
        self.zeros = self.add_weight(shape=(self._images, *input_shape[1:]), initializer="zeros", name="zeros")

    def call(self, x: Any) -> Any:
        """Returns x plus the zeros."""
        return x + self.zeros[: ops.shape(x)[0]]

    def compute_output_spec(self, x: Any) -> keras.KerasTensor:
        """The specification of x: the number of images is not known yet."""
        return keras.KerasTensor(x.shape, dtype=self.compute_dtype)


def gradients(net: Net, batches: Iterable[Batch], *, state: State = "trained", most: int = BATCH) -> Gradients:
    """Measures the gradient of the cross-entropy, without weight decay, as training would see it.

    Batch normalisation takes mean and variance from each batch, as in training: the moving statistics of an untrained
    net describe nothing, and all nets are to be measured alike.

    For each unit:

        gradient_norm  = sqrt(mean over images of ||dL/dy||^2), L being the image's own cross-entropy
        shortcut_share = sqrt(sum ||J_s^T g||^2) / sqrt(sum ||J_s^T g + J_F^T g||^2), sums over images

    The share is above 1 where what comes through F opposes what comes through the shortcut. For each kernel, the result
    is the norm of the gradient of the mean cross-entropy over all images.

    Args:
        net: from a file that states its architecture, or newly built.
        batches: images 0..255, (n, size, size, 3), and labels.
        state: state of the net, for the result.
        most: images in the largest batch.

    Raises:
        ValueError: the architecture is unknown or not the model's, there are no images, or gradients are not finite.
    """
    architecture = net.described()
    units = list(architecture.units())
    model, probes, kernels = _probed(net, architecture, units, most)
    places = {id(variable): place for place, variable in enumerate(model.trainable_variables)}
    gradient = differentiated(model)

    images = 0
    squares = dict.fromkeys(probes, 0.0)
    sums = {name: np.zeros(kernel.shape) for name, kernel in kernels.items()}
    for x, y in batches:
        found = gradient(x, y)
        images += len(x)
        for name, probe in probes.items():
            squares[name] += float(np.square(found[places[id(probe)]], dtype=np.float64).sum())
        for name, kernel in kernels.items():
            sums[name] += found[places[id(kernel)]]
    if images == 0:
        raise InvalidValue("Gradients are measured on at least 1 image. Received: none.")
    if not np.isfinite([*squares.values(), *(total.sum() for total in sums.values())]).all():
        raise InvalidValue(f"Gradients are finite. Received: NaN or infinity in {net.subject.name}.")

    before = [_stem_output(architecture), *(_output(unit) for unit in units)]
    measured = {}
    for unit, previous in zip(units, before, strict=False):
        through = squares.get(_through_shortcut(unit))
        at_input = squares[previous]
        share = None if through is None or not at_input else float(np.sqrt(through / at_input))
        measured[unit.name] = UnitGradient(float(np.sqrt(squares[_output(unit)] / images)), share)
    norms = {name: float(np.linalg.norm(total / images)) for name, total in sums.items()}
    return Gradients(net.subject, state, measured, norms)


def _probed(
    net: Net, architecture: Architecture, units: list[Unit], most: int
) -> tuple[keras.Model, dict[str, Any], dict[str, Any]]:
    """A copy from images to logits, with its probes by name and its kernels by convolution."""
    outputs = {_stem_output(architecture), *(_output(unit) for unit in units)}
    shortcuts = {_entrance(unit): unit for unit in units if unit.shortcut is not None}
    probes: dict[str, Any] = {}
    kernels: dict[str, Any] = {}

    def probe(x: Any, name: str) -> Any:
        layer = Probe(most, name=f"{name}_probe")
        x = layer(x)
        probes[name] = layer.zeros
        return x

    def call(layer: Any, *arguments: Any) -> Any:
        if (unit := shortcuts.get(layer.name)) is not None:
            # The addition takes [shortcut, residual]; other entrances take the unit's input.
            first, *others = arguments[0] if unit.shortcut == "identity" else arguments
            first = probe(first, _through_shortcut(unit))
            arguments = ([first, *others],) if unit.shortcut == "identity" else (first, *others)
        output = layer(*arguments)
        if isinstance(layer, layers.Conv2D):
            kernels[layer.name.removesuffix("_conv")] = layer.kernel
        return probe(output, layer.name) if layer.name in outputs else output

    copy = rewired(net.model, call)
    missing = outputs | {_through_shortcut(unit) for unit in shortcuts.values()}
    missing -= probes.keys()
    if missing:
        raise InvalidValue(
            f"A file holds the net it describes. Received: {net.subject.name} without {', '.join(sorted(missing))}."
        )
    order = {convolution.name: None for convolution in architecture.convolutions()}
    kernels = {name: kernels[name] for name in order}
    return keras.Model(copy.input, copy.get_layer("predictions").output), probes, kernels


def _stem_output(architecture: Architecture) -> str:
    return "pool1_pool" if architecture.stem.pool else "conv1_relu"


def _output(unit: Unit) -> str:
    return f"{unit.name}_out"


def _through_shortcut(unit: Unit) -> str:
    return f"{unit.name}_shortcut"


def _entrance(unit: Unit) -> str:
    """The first layer that the shortcut leads to, as `blocks` names it."""
    match unit.shortcut:
        case "pad":
            return f"{unit.name}_0_{'subsample' if unit.strides > 1 else 'pad'}"
        case "project":
            return f"{unit.name}_0_conv"
        case _:
            return f"{unit.name}_add"

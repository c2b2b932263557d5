"""What one update has to compute and to move, from a network and a recipe alone."""

from dataclasses import dataclass

from resnet_keras.spec.network import Network
from resnet_keras.spec.recipe import Recipe

FORWARD_AND_BACKWARD = 3
"""Passes of the size of the forward one: the gradient of the input and that of the kernel cost as much each."""
LEAST_PASSES = 5
"""Over each layer's output: written, read, and read in the backward pass; its gradient written and read."""
WEIGHT_PASSES = 7
"""Over the weights, in float32: read twice, and read and written with gradient and momentum by the update."""


@dataclass(frozen=True)
class Cost:
    """Of one update.

    Attributes:
        operations: floating-point, two for each multiply-add.
        bytes: that have to pass between memory and the processor if each layer's output is written once and read once.
    """

    operations: float
    bytes: float


def cost(network: Network, recipe: Recipe, passes: float = LEAST_PASSES) -> Cost:
    """What one update has to do, from the net alone; the sums of batch normalisation and the like are left out.

    Args:
        network: the net, at its image size.
        recipe: of which batch size and precision count.
        passes: over each layer's output.
    """
    images, number = recipe.batch_size, 4 if recipe.precision == "float32" else 2
    # Nothing asks for the gradient of the images.
    layers = list(network.weighted_layers())
    operations = 2 * images * (FORWARD_AND_BACKWARD * network.multiply_adds - layers[0].multiply_adds)
    outputs = sum(layer.outputs for layer in layers[:-1])  # the logits are nothing beside them
    return Cost(operations, float(passes) * outputs * images * number + WEIGHT_PASSES * 4.0 * network.parameters)

"""The computation and memory traffic of one update, from a network and a recipe alone."""

from dataclasses import dataclass

from resnet_keras.spec.network import Network
from resnet_keras.spec.recipe import Recipe

FORWARD_AND_BACKWARD = 3
"""Passes as costly as the forward pass: the gradients of the input and of the kernel each cost as much."""
LEAST_PASSES = 5
"""Passes over each layer's output: written, read, and read in the backward pass; its gradient written and read."""
WEIGHT_PASSES = 7
"""Passes over the float32 weights: read twice, and read and written with gradient and momentum by the update."""


@dataclass(frozen=True)
class Cost:
    """The cost of one update.

    Attributes:
        operations: floating-point operations, two for each multiply-add.
        bytes: those that must pass between memory and processor in `LEAST_PASSES` over outputs and `WEIGHT_PASSES`.
    """

    operations: float
    bytes: float


def cost(network: Network, recipe: Recipe, passes: float = LEAST_PASSES) -> Cost:
    """Computes the cost of one update from the net alone, leaving out the sums of batch normalisation and the like.

    Args:
        network: the net, at its image size.
        recipe: only its batch size and precision matter.
        passes: passes over each layer's output.
    """
    images, number = recipe.batch_size, 4 if recipe.precision == "float32" else 2
    # The gradient with respect to the images is not needed.
    layers = list(network.weighted_layers())
    operations = 2 * images * (FORWARD_AND_BACKWARD * network.multiply_adds - layers[0].multiply_adds)
    outputs = sum(layer.outputs for layer in layers[:-1])  # the logits are negligible beside them
    return Cost(operations, float(passes) * outputs * images * number + WEIGHT_PASSES * 4.0 * network.parameters)

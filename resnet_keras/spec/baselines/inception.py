"""What GoogLeNet and BN-Inception share: modules of parallel branches whose outputs are concatenated."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from resnet_keras.spec.architecture import Convolution
from resnet_keras.spec.baselines.layers import Pool
from resnet_keras.spec.network import WeightedLayer

ModulePool = Literal["max", "average"]


@dataclass(frozen=True)
class Branch:
    """A 3x3 pool or none, then convolutions or none. The stride, 1 or 2, is in the pool or the last convolution."""

    pool: ModulePool | None
    convolutions: tuple[Convolution, ...]


@dataclass(frozen=True)
class Module:
    """Parallel branches on one input; the outputs are concatenated in this order.

    Attributes:
        name: as in the model.
        filters_in: channels of the input.
        strides: how much smaller it makes its map: 1 or 2.
        branches: those that there are.
    """

    name: str
    filters_in: int
    strides: int
    branches: tuple[Branch, ...]

    @property
    def filters(self) -> int:
        """Channels of the output; a pool without convolutions passes its input's channels on."""
        last = [branch.convolutions[-1].filters if branch.convolutions else self.filters_in for branch in self.branches]
        return sum(last)

    def output_size(self, size: int) -> int:
        """Side in pixels of the output for an input of `size` pixels."""
        return (size - 1) // self.strides + 1

    def weighted(self, size: int) -> Iterator[WeightedLayer]:
        """Its convolutions, for an input of `size` pixels."""
        for branch in self.branches:
            here = size
            for convolution in branch.convolutions:
                yield convolution.weighted(here)
                here = convolution.output_size(here)

    @property
    def depth(self) -> int:
        """Convolutions on the longest way through it."""
        return max(len(branch.convolutions) for branch in self.branches)


def counted(layers: Iterable[Convolution | Pool | Module], size: int) -> Iterator[WeightedLayer]:
    """Every convolution of a chain of layers whose input has `size` pixels."""
    for layer in layers:
        if isinstance(layer, Module):
            yield from layer.weighted(size)
        elif isinstance(layer, Convolution):
            yield layer.weighted(size)
        size = layer.output_size(size)


def map_size(layers: Iterable[Convolution | Pool | Module], size: int) -> int:
    """Side in pixels of what a chain of layers makes of `size` pixels."""
    for layer in layers:
        size = layer.output_size(size)
    return size


def depth(layers: Iterable[Convolution | Pool | Module]) -> int:
    """Convolutions on the longest way through a chain of layers."""
    return sum(layer.depth if isinstance(layer, Module) else isinstance(layer, Convolution) for layer in layers)

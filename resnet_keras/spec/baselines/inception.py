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
    """An optional 3x3 pool, then any convolutions. The pool or the last convolution has the stride, 1 or 2."""

    pool: ModulePool | None
    convolutions: tuple[Convolution, ...]


@dataclass(frozen=True)
class Module:
    """Parallel branches on one input; their outputs are concatenated in order.

    Attributes:
        name: name in the model.
        filters_in: channels of the input.
        strides: factor by which the side of the map shrinks: 1 or 2.
        branches: the branches, in the order of concatenation.
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
        """The module's convolutions, for an input of `size` pixels."""
        for branch in self.branches:
            here = size
            for convolution in branch.convolutions:
                yield convolution.weighted(here)
                here = convolution.output_size(here)

    @property
    def depth(self) -> int:
        """Convolutions on the longest path through the module."""
        return max(len(branch.convolutions) for branch in self.branches)


def counted(layers: Iterable[Convolution | Pool | Module], size: int) -> Iterator[WeightedLayer]:
    """Every convolution in a chain of layers, for an input of `size` pixels."""
    for layer in layers:
        if isinstance(layer, Module):
            yield from layer.weighted(size)
        elif isinstance(layer, Convolution):
            yield layer.weighted(size)
        size = layer.output_size(size)


def map_size(layers: Iterable[Convolution | Pool | Module], size: int) -> int:
    """Side in pixels of the output of a chain of layers for an input of `size` pixels."""
    for layer in layers:
        size = layer.output_size(size)
    return size


def depth(layers: Iterable[Convolution | Pool | Module]) -> int:
    """Convolutions on the longest path through a chain of layers."""
    return sum(layer.depth if isinstance(layer, Module) else isinstance(layer, Convolution) for layer in layers)

"""The layers of the comparison systems besides `Convolution`: convolutions and dense layers with bias, and pools."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from resnet_keras.spec.architecture import Convolution
from resnet_keras.spec.network import WeightedLayer
from resnet_keras.spec.strict import AtMost

Filters = Annotated[int, AtMost(4096)]
NumClasses = Annotated[int, AtMost(100_000)]
ImageSize = Annotated[int, AtMost(4096)]
Activation = Literal["relu", "prelu"]
"""PReLU has a slope for each channel (He et al. 2015a, "channel-wise")."""


@dataclass(frozen=True)
class BiasedConvolution(Convolution):
    """One convolution with bias, followed by a ReLU or a PReLU. Padding is symmetric, `kernel_size // 2`."""

    activation: Activation = "relu"

    @property
    def slopes(self) -> int:
        return self.filters if self.activation == "prelu" else 0

    @property
    def parameters(self) -> int:
        return (self.kernel_size**2 * self.filters_in + 1) * self.filters + self.slopes

    @property
    def moving_statistics(self) -> int:
        return 0


@dataclass(frozen=True)
class Dense:
    """A dense layer with bias, followed by a ReLU, a PReLU or, if it is the last, by nothing."""

    name: str
    features: int
    units: int
    activation: Activation | None

    def weighted(self) -> WeightedLayer:
        """The layer's counts."""
        weights = self.features * self.units
        slopes = self.units if self.activation == "prelu" else 0
        return WeightedLayer(self.name, weights + self.units + slopes, 0, weights, self.units)


@dataclass(frozen=True)
class Pool:
    """A max pool whose output size is rounded down (VGG), or up as in Caffe (the Inception nets). No padding."""

    name: str
    size: int
    strides: int
    rounds: Literal["down", "up"]

    def output_size(self, size: int) -> int:
        """Side in pixels of the output for an input of `size` pixels."""
        up = self.strides - 1 if self.rounds == "up" else 0
        return (size + up - self.size) // self.strides + 1


@dataclass(frozen=True)
class ConvStage:
    """The 3x3 convolutions between two pools, all with the same number of filters."""

    filters: Filters
    convolutions: Annotated[int, AtMost(64)]

    def layers(self, number: int, filters_in: int, activation: Activation) -> Iterator[BiasedConvolution]:
        """The convolutions, named `block1_conv1`, ... as in `keras.applications`."""
        for position in range(1, self.convolutions + 1):
            yield BiasedConvolution(f"block{number}_conv{position}", 3, filters_in, self.filters, 1, activation)
            filters_in = self.filters

"""What any network is: what tables, recipes, run folders, estimates, evaluation and `load` use of it.

A network is a frozen dataclass derived from `Network`, registered in `spec.kinds`; `nets.build` makes a `keras.Model`
of it. Everything that is counted is derived from its weighted layers.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from resnet_keras.spec.strict import write_fields

Mean = Literal["pixel", "channel"]
"""What is subtracted from the image: the mean of each pixel (the paper), or of each channel (any image size)."""
CHANNELS = 3
"""Images are RGB."""


@dataclass(frozen=True)
class WeightedLayer:
    """A convolution or a dense layer, with the normalisation or activation that has parameters behind it.

    Attributes:
        name: as in the model.
        parameters: trained numbers.
        moving_statistics: numbers that are saved but not trained: means and variances of batch normalisation.
        multiply_adds: for one image.
        outputs: numbers that it computes for one image.
    """

    name: str
    parameters: int
    moving_statistics: int
    multiply_adds: int
    outputs: int


class Network(ABC):
    """A network as its paper describes it; it computes nothing with a framework.

    Attributes:
        kind: what files and run folders call networks of this class.
        num_classes: outputs of the last dense layer.
        image_size: side of the input in pixels.
        mean: what is subtracted from the image.
    """

    kind: ClassVar[str]
    num_classes: int
    image_size: int
    mean: Mean

    @property
    @abstractmethod
    def name(self) -> str:
        """As the tables write it."""

    @property
    def former_name(self) -> str:
        """As files of earlier versions write it."""
        return self.name

    @property
    @abstractmethod
    def depth(self) -> int:
        """Weighted layers, as the paper of the network counts them."""

    @abstractmethod
    def weighted_layers(self) -> Iterator[WeightedLayer]:
        """Every layer that has parameters; the one that sees the image comes first."""

    @property
    def parameters(self) -> int:
        """Trained numbers."""
        return sum(layer.parameters for layer in self.weighted_layers())

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of convolutions and dense layers for one image (Table 1's FLOPs)."""
        return sum(layer.multiply_adds for layer in self.weighted_layers())

    @property
    def stored_numbers(self) -> int:
        """What a model file holds: trained numbers, moving statistics, and mean and variance of the images."""
        moving = sum(layer.moving_statistics for layer in self.weighted_layers())
        image = CHANNELS * (self.image_size**2 if self.mean == "pixel" else 1)
        return self.parameters + moving + 2 * image

    def derived(self) -> dict[str, Any]:
        """What follows from the fields and is written beside them, for readers without this package."""
        names = ("kind", "name", "depth", "parameters", "multiply_adds")
        return {name: getattr(self, name) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """The fields and what is derived from them, for `run.json` and model files."""
        return self.derived() | write_fields(self)

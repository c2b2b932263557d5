"""What every network provides to tables, recipes, run folders, estimates, evaluation and `load`.

A network is a frozen dataclass derived from `Network` and registered in `spec.kinds`; `nets.build` turns it into a
`keras.Model`. All counts are derived from its weighted layers.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from resnet_keras.spec.strict import check_fields, write_fields

Mean = Literal["pixel", "channel"]
"""What is subtracted from the image: the mean of each pixel (the paper), or of each channel (any image size)."""
CHANNELS = 3
"""Images are RGB."""


@dataclass(frozen=True)
class WeightedLayer:
    """A convolution or dense layer, with any normalisation or activation after it that has parameters.

    Attributes:
        name: name of the layer in the model.
        parameters: number of trainable parameters.
        moving_statistics: number of values saved but not trained: means and variances of batch normalisation.
        multiply_adds: multiply-adds for one image.
        outputs: number of values that it computes for one image.
    """

    name: str
    parameters: int
    moving_statistics: int
    multiply_adds: int
    outputs: int


class Network(ABC):
    """A network as its paper describes it; no framework is used.

    Attributes:
        kind: name of this class of networks in files and run folders.
        num_classes: outputs of the last dense layer.
        image_size: side of the input in pixels.
        mean: what is subtracted from the image.
    """

    kind: ClassVar[str]
    num_classes: int
    image_size: int
    mean: Mean

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    @abstractmethod
    def name(self) -> str:
        """The name as tables write it."""

    @property
    def former_name(self) -> str:
        """The name as files of earlier versions write it."""
        return self.name

    @property
    @abstractmethod
    def depth(self) -> int:
        """Weighted layers, as the paper of the network counts them."""

    @abstractmethod
    def weighted_layers(self) -> Iterator[WeightedLayer]:
        """Every layer with parameters; the one applied to the image comes first."""

    @property
    def parameters(self) -> int:
        """Number of trainable parameters."""
        return sum(layer.parameters for layer in self.weighted_layers())

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of convolutions and dense layers for one image (Table 1's FLOPs)."""
        return sum(layer.multiply_adds for layer in self.weighted_layers())

    @property
    def stored_numbers(self) -> int:
        """Number of values in a model file: parameters, moving statistics, and mean and variance of the images."""
        moving = sum(layer.moving_statistics for layer in self.weighted_layers())
        image = CHANNELS * (self.image_size**2 if self.mean == "pixel" else 1)
        return self.parameters + moving + 2 * image

    def derived(self) -> dict[str, Any]:
        """Values derived from the fields and written beside them, for readers without this package."""
        names = ("kind", "name", "depth", "parameters", "multiply_adds")
        return {name: getattr(self, name) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """The fields and the values derived from them, for `run.json` and model files."""
        return self.derived() | write_fields(self)

"""VGG-16 and VGG-19: configurations D and E of Simonyan and Zisserman 2015, Table 1."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from resnet_keras.spec.baselines.inception import counted
from resnet_keras.spec.baselines.layers import BiasedConvolution, ConvStage, Dense, Filters, ImageSize, NumClasses, Pool
from resnet_keras.spec.checks import MAX_CLASSES, MAX_IMAGE_SIZE, check_choice, check_count
from resnet_keras.spec.network import CHANNELS, Mean, Network, WeightedLayer
from resnet_keras.spec.strict import AtMost

STAGE_FILTERS = (64, 128, 256, 512, 512)
CONVOLUTIONS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""Convolutions in each stage, by depth."""


@dataclass(frozen=True)
class Vgg(Network):
    """3x3 convolutions, a 2x2 max pool of stride 2 after each stage, and three dense layers.

    Attributes:
        stages: the stages of convolutions between the pools.
        units: units of each of the two hidden dense layers.
        num_classes: outputs of the last dense layer.
        image_size: side of the input in pixels.
        mean: what is subtracted from the image.
    """

    kind = "vgg"

    stages: Annotated[tuple[ConvStage, ...], AtMost(8)]
    units: Filters
    num_classes: NumClasses
    image_size: ImageSize
    mean: Mean

    def __post_init__(self) -> None:
        check_count("A network has one output for each class.", self.num_classes, "num_classes", 2, MAX_CLASSES)
        least = 2 ** len(self.stages)
        check_count(
            "An image must leave at least one pixel after every pool.",
            self.image_size,
            "image_size",
            least,
            MAX_IMAGE_SIZE,
        )
        super().__post_init__()

    def layers(self) -> Iterator[BiasedConvolution | Pool]:
        """The layers from the image to the last pool."""
        filters = CHANNELS
        for number, stage in enumerate(self.stages, start=1):
            yield from stage.layers(number, filters, "relu")
            yield Pool(f"block{number}_pool", 2, 2, "down")
            filters = stage.filters

    @property
    def map_size(self) -> int:
        """Side in pixels of the last pool's output."""
        return self.image_size >> len(self.stages)

    def dense_layers(self) -> tuple[Dense, Dense, Dense]:
        """The dense layers after the last pool."""
        features = self.map_size**2 * self.stages[-1].filters
        return (
            Dense("fc1", features, self.units, "relu"),
            Dense("fc2", self.units, self.units, "relu"),
            Dense("predictions", self.units, self.num_classes, None),
        )

    def weighted_layers(self) -> Iterator[WeightedLayer]:
        """Convolutions and dense layers."""
        yield from counted(self.layers(), self.image_size)
        yield from (dense.weighted() for dense in self.dense_layers())

    @property
    def depth(self) -> int:
        """Convolutions and dense layers."""
        return sum(stage.convolutions for stage in self.stages) + 3

    @property
    def name(self) -> str:
        return f"VGG-{self.depth}"


def vgg(depth: int, num_classes: int = 1000, *, image_size: int = 224) -> Vgg:
    """VGG-16 or VGG-19.

    Args:
        depth: 16 (configuration D) or 19 (E).
        num_classes: number of outputs.
        image_size: side of the image in pixels.

    Raises:
        ValueError: an unknown depth, or too few classes or pixels.
    """
    check_choice("The depth of a VGG net in Table 3 or 4", depth, tuple(CONVOLUTIONS), "depth")
    rows = zip(STAGE_FILTERS, CONVOLUTIONS[depth], strict=True)
    return Vgg(tuple(ConvStage(*row) for row in rows), 4096, num_classes, image_size, "channel")

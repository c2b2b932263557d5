"""PReLU-net: models A, B and C of He et al. 2015a, "Delving Deep into Rectifiers", Table 3."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from resnet_keras.errors import InvalidValue
from resnet_keras.spec.baselines.inception import counted, map_size
from resnet_keras.spec.baselines.layers import BiasedConvolution, ConvStage, Dense, Filters, ImageSize, NumClasses, Pool
from resnet_keras.spec.checks import MAX_CLASSES, MAX_IMAGE_SIZE, check_choice, check_count
from resnet_keras.spec.network import CHANNELS, Mean, Network, WeightedLayer
from resnet_keras.spec.strict import AtMost

Model = Literal["A", "B", "C"]
STAGES: dict[Model, tuple[ConvStage, ...]] = {
    "A": (ConvStage(256, 5), ConvStage(512, 5), ConvStage(512, 5)),
    "B": (ConvStage(256, 6), ConvStage(512, 6), ConvStage(512, 6)),
    "C": (ConvStage(384, 6), ConvStage(768, 6), ConvStage(896, 6)),
}
"""3x3 convolutions at 56, 28 and 14 pixels."""
STEM_FILTERS = 96
PYRAMID = (7, 3, 2, 1)
"""Bins along a side at each level of the spatial pyramid: 63 in all."""


@dataclass(frozen=True)
class PyramidLevel:
    """One level of spatial pyramid pooling (He et al. 2014, section 2.2): `bins` x `bins` max pools of one size.

    On a map of `a` pixels, windows of ceil(a / bins) pixels lie floor(a / bins) apart.
    """

    bins: int
    size: int
    strides: int


@dataclass(frozen=True)
class PReluNet(Network):
    """A 7x7 stem, 3x3 convolutions between 2x2 max pools, a spatial pyramid, three dense layers; PReLU throughout.

    Attributes:
        stem_filters: filters of the 7x7 convolution of stride 2.
        stages: the stages of convolutions, each after a 2x2 max pool of stride 2.
        pyramid: bins along a side at each level of the pyramid, which takes the place of the last pool.
        units: units of each of the two hidden dense layers.
        num_classes: outputs of the last dense layer.
        image_size: side of the input in pixels.
        mean: what is subtracted from the image.
    """

    kind = "prelu-net"

    stem_filters: Filters
    stages: Annotated[tuple[ConvStage, ...], AtMost(8)]
    pyramid: Annotated[tuple[Annotated[int, AtMost(16)], ...], AtMost(8)]
    units: Filters
    num_classes: NumClasses
    image_size: ImageSize
    mean: Mean

    def __post_init__(self) -> None:
        check_count("A network has one output for each class.", self.num_classes, "num_classes", 2, MAX_CLASSES)
        check_count(
            "Each of the pyramid's finest bins has at least one pixel.",
            self.image_size,
            "image_size",
            max(self.pyramid, default=1) * 2 ** (len(self.stages) + 1),
            MAX_IMAGE_SIZE,
        )
        for level in self.levels():
            if (self.map_size - level.size) // level.strides + 1 != level.bins:
                raise InvalidValue(
                    f"On a map of a pixels, windows of ceil(a / n) pixels, floor(a / n) apart, give n bins. Received: "
                    f"image_size={self.image_size}, whose map has a={self.map_size}, and n={level.bins}. "
                    f"Images of 224 pixels suit n in {PYRAMID}."
                )
        super().__post_init__()

    def layers(self) -> Iterator[BiasedConvolution | Pool]:
        """The layers from the image to the map below the pyramid."""
        yield BiasedConvolution("conv1", 7, CHANNELS, self.stem_filters, 2, "prelu")
        filters = self.stem_filters
        for number, stage in enumerate(self.stages, start=2):
            yield Pool(f"block{number}_pool", 2, 2, "down")
            yield from stage.layers(number, filters, "prelu")
            filters = stage.filters

    @property
    def map_size(self) -> int:
        """Side in pixels of the map below the pyramid."""
        return map_size(self.layers(), self.image_size)

    def levels(self) -> tuple[PyramidLevel, ...]:
        """The levels of the pyramid, the finest first."""
        size = self.map_size
        return tuple(PyramidLevel(bins, -(-size // bins), size // bins) for bins in self.pyramid)

    def dense_layers(self) -> tuple[Dense, Dense, Dense]:
        """The dense layers after the pyramid."""
        features = sum(bins**2 for bins in self.pyramid) * self.stages[-1].filters
        return (
            Dense("fc1", features, self.units, "prelu"),
            Dense("fc2", self.units, self.units, "prelu"),
            Dense("predictions", self.units, self.num_classes, None),
        )

    def weighted_layers(self) -> Iterator[WeightedLayer]:
        """Convolutions and dense layers, each with its slopes."""
        yield from counted(self.layers(), self.image_size)
        yield from (dense.weighted() for dense in self.dense_layers())

    @property
    def slopes(self) -> int:
        """Number of the PReLUs' slopes, which `parameters` includes."""
        return sum(layer.slopes for layer in self.layers() if isinstance(layer, BiasedConvolution)) + 2 * self.units

    @property
    def depth(self) -> int:
        """Convolutions and dense layers."""
        return 1 + sum(stage.convolutions for stage in self.stages) + 3

    @property
    def name(self) -> str:
        """ "PReLU-net C", or with stages other than those of A, B and C, "PReLU-net-7" for 7 weighted layers."""
        for letter, stages in STAGES.items():
            if self.stages == stages:
                return f"PReLU-net {letter}"
        return f"PReLU-net-{self.depth}"


def prelu_net(model: Model, num_classes: int = 1000, *, image_size: int = 224) -> PReluNet:
    """Model A, B or C. The "PReLU-net" of Tables 3 and 4 is C.

    Args:
        model: "A", "B" or "C".
        num_classes: number of outputs.
        image_size: side of the image in pixels.

    Raises:
        ValueError: an unknown model, too few classes, or an image whose last map does not fit the pyramid.
    """
    check_choice("A PReLU-net model", model, get_args(Model), "model")
    return PReluNet(STEM_FILTERS, STAGES[model], PYRAMID, 4096, num_classes, image_size, "channel")

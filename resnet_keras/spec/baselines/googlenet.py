"""GoogLeNet: Table 1 and section 5 of Szegedy et al. 2015, "Going Deeper with Convolutions"."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from resnet_keras.spec.baselines.inception import Branch, Module, counted, depth, map_size
from resnet_keras.spec.baselines.layers import BiasedConvolution, Dense, Filters, ImageSize, NumClasses, Pool
from resnet_keras.spec.checks import MAX_CLASSES, MAX_IMAGE_SIZE, check_count
from resnet_keras.spec.network import CHANNELS, Mean, Network, WeightedLayer
from resnet_keras.spec.strict import AtMost


@dataclass(frozen=True)
class Row:
    """A row of Table 1: the filters of an Inception module, named after the table's columns."""

    ones: Filters
    threes_reduce: Filters
    threes: Filters
    fives_reduce: Filters
    fives: Filters
    pool_projection: Filters

    def module(self, name: str, filters_in: int) -> Module:
        """The module for an input of `filters_in` channels."""

        def conv(part: str, kernel_size: int, channels: int, filters: int) -> BiasedConvolution:
            return BiasedConvolution(f"{name}_{part}", kernel_size, channels, filters, 1)

        return Module(
            name,
            filters_in,
            1,
            (
                Branch(None, (conv("1x1", 1, filters_in, self.ones),)),
                Branch(
                    None,
                    (
                        conv("3x3_reduce", 1, filters_in, self.threes_reduce),
                        conv("3x3", 3, self.threes_reduce, self.threes),
                    ),
                ),
                Branch(
                    None,
                    (
                        conv("5x5_reduce", 1, filters_in, self.fives_reduce),
                        conv("5x5", 5, self.fives_reduce, self.fives),
                    ),
                ),
                Branch("max", (conv("pool_proj", 1, filters_in, self.pool_projection),)),
            ),
        )


STEM_FILTERS = (64, 64, 192)
"""Filters of the 7x7 convolution of stride 2, the 1x1 and the 3x3."""
TABLE_1 = (
    Row(64, 96, 128, 16, 32, 32),
    Row(128, 128, 192, 32, 96, 64),
    Row(192, 96, 208, 16, 48, 64),
    Row(160, 112, 224, 24, 64, 64),
    Row(128, 128, 256, 24, 64, 64),
    Row(112, 144, 288, 32, 64, 64),
    Row(256, 160, 320, 32, 128, 128),
    Row(256, 160, 320, 32, 128, 128),
    Row(384, 192, 384, 48, 128, 128),
)
"""The rows 3a, 3b, 4a to 4e, 5a and 5b."""
MODULES = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
HEADS_AFTER = ("4a", "4d")
"""Section 5: the modules that the auxiliary classifiers follow."""
HEAD_WEIGHT = 0.3
"""Section 5: weight of each one's loss during training."""
HEAD_POOL, HEAD_STRIDES = 5, 3
"""Size and stride of their average pool."""


@dataclass(frozen=True)
class Head:
    """An auxiliary classifier: a 5x5 average pool of stride 3, a 1x1 convolution, a hidden and a last dense layer."""

    name: str
    convolution: BiasedConvolution
    dense_layers: tuple[Dense, Dense]


@dataclass(frozen=True)
class GoogLeNet(Network):
    """A stem with local response normalisation, nine Inception modules, global average pooling.

    Attributes:
        stem: filters of the three convolutions before the first module.
        rows: rows 3a to 5b of Table 1.
        head_filters, head_units: of each auxiliary classifier's convolution and hidden dense layer.
        auxiliary: whether it has the two auxiliary classifiers, which only training needs.
        num_classes: outputs of each classifier.
        image_size: side of the input in pixels.
        mean: what is subtracted from the image.
    """

    kind = "googlenet"

    stem: Annotated[tuple[Filters, ...], AtMost(3)]
    rows: Annotated[tuple[Row, ...], AtMost(len(TABLE_1))]
    head_filters: Filters
    head_units: Filters
    auxiliary: bool
    num_classes: NumClasses
    image_size: ImageSize
    mean: Mean

    name = "GoogLeNet"

    def __post_init__(self) -> None:
        check_count("A network has one output for each class.", self.num_classes, "num_classes", 2, MAX_CLASSES)
        check_count("The stem has three convolutions.", len(self.stem), "stem", 3)
        check_count("The network has nine modules.", len(self.rows), "rows", len(TABLE_1))
        # The heads see a map 16 times smaller than the image, and their pool needs five pixels.
        least = 16 * HEAD_POOL if self.auxiliary else 32
        check_count(
            "An image must leave at least one pixel in every feature map.",
            self.image_size,
            "image_size",
            least,
            MAX_IMAGE_SIZE,
        )
        super().__post_init__()

    def layers(self) -> tuple[BiasedConvolution | Pool | Module, ...]:
        """From the image to the last module; local response normalisation follows `pool1` and precedes `pool2`."""
        first, reduce, second = self.stem
        made: list[BiasedConvolution | Pool | Module] = [
            BiasedConvolution("conv1", 7, CHANNELS, first, 2),
            Pool("pool1", 3, 2, "up"),
            BiasedConvolution("conv2_reduce", 1, first, reduce, 1),
            BiasedConvolution("conv2", 3, reduce, second, 1),
            Pool("pool2", 3, 2, "up"),
        ]
        filters = second
        for name, row in zip(MODULES, self.rows, strict=True):
            if name in ("4a", "5a"):
                made.append(Pool(f"pool{int(name[0]) - 1}", 3, 2, "up"))
            module = row.module(f"inception_{name}", filters)
            made.append(module)
            filters = module.filters
        return tuple(made)

    def heads(self) -> dict[str, Head]:
        """The auxiliary classifiers by the name of the module that they follow."""
        if not self.auxiliary:
            return {}
        made: dict[str, Head] = {}
        size = self.image_size
        for layer in self.layers():
            size = layer.output_size(size)
            if isinstance(layer, Module) and layer.name.removeprefix("inception_") in HEADS_AFTER:
                name = f"head{len(made) + 1}"
                convolution = BiasedConvolution(f"{name}_conv", 1, layer.filters, self.head_filters, 1)
                features = self.head_filters * self._head_map(size) ** 2
                hidden = Dense(f"{name}_fc", features, self.head_units, "relu")
                last = Dense(f"{name}_predictions", self.head_units, self.num_classes, None)
                made[layer.name] = Head(name, convolution, (hidden, last))
        return made

    @staticmethod
    def _head_map(size: int) -> int:
        return (size - HEAD_POOL) // HEAD_STRIDES + 1

    def weighted_layers(self) -> Iterator[WeightedLayer]:
        """Convolutions and dense layers, those of the auxiliary classifiers before the net's last layer."""
        layers = self.layers()
        yield from counted(layers, self.image_size)
        names = [layer.name for layer in layers]
        for module, head in self.heads().items():
            here = map_size(layers[: names.index(module) + 1], self.image_size)
            yield head.convolution.weighted(self._head_map(here))
            for dense in head.dense_layers:
                yield dense.weighted()
        yield self.predictions.weighted()

    @property
    def predictions(self) -> Dense:
        """The last dense layer."""
        last = self.layers()[-1]
        assert isinstance(last, Module)
        return Dense("predictions", last.filters, self.num_classes, None)

    @property
    def depth(self) -> int:
        """Weighted layers on the longest path, "22 layers when counting only layers with parameters" (section 5)."""
        return depth(self.layers()) + 1


def googlenet(auxiliary: bool = False, num_classes: int = 1000, *, image_size: int = 224) -> GoogLeNet:
    """GoogLeNet.

    Args:
        auxiliary: whether to include the two auxiliary classifiers; the model then has three outputs, the first being
            the net's.
        num_classes: outputs of each classifier.
        image_size: side of the image in pixels.

    Raises:
        ValueError: too few classes or pixels.
    """
    return GoogLeNet(STEM_FILTERS, TABLE_1, 128, 1024, auxiliary, num_classes, image_size, "channel")

"""BN-Inception: Figure 5 of Ioffe and Szegedy 2015, "Batch Normalization".

The table contradicts itself. With the pool projections of 128 that it prints, 4c and 4d have 608 channels and 4e 1,056;
it prints 576, 576 and 1,024, which projections of 96 give. The default here is 96, as in Google's own code (TF-slim)
and most Caffe ports. `projection=128` is the other reading (Cadene, MXNet).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from resnet_keras.spec.architecture import Convolution
from resnet_keras.spec.baselines.inception import Branch, Module, ModulePool, counted, depth
from resnet_keras.spec.baselines.layers import Dense, Filters, ImageSize, NumClasses, Pool
from resnet_keras.spec.checks import MAX_CLASSES, MAX_IMAGE_SIZE, check_choice, check_count
from resnet_keras.spec.network import CHANNELS, Mean, Network, WeightedLayer
from resnet_keras.spec.strict import AtMost


@dataclass(frozen=True)
class Row:
    """A row of Figure 5: the filters of a module, named after the table's columns.

    A module of stride 2 has no 1x1 branch and no projection after its pool: both fields are then None.
    """

    ones: Filters | None
    threes_reduce: Filters
    threes: Filters
    double_reduce: Filters
    double: Filters
    pool: ModulePool
    pool_projection: Filters | None

    def module(self, name: str, filters_in: int) -> Module:
        """The module for an input of `filters_in` channels."""
        strides = 1 if self.ones else 2

        def conv(part: str, kernel_size: int, channels: int, filters: int, strides: int = 1) -> Convolution:
            return Convolution(f"{name}_{part}", kernel_size, channels, filters, strides)

        branches = [Branch(None, (conv("1x1", 1, filters_in, self.ones),))] if self.ones else []
        branches.append(
            Branch(
                None,
                (
                    conv("3x3_reduce", 1, filters_in, self.threes_reduce),
                    conv("3x3", 3, self.threes_reduce, self.threes, strides),
                ),
            )
        )
        branches.append(
            Branch(
                None,
                (
                    conv("double3x3_reduce", 1, filters_in, self.double_reduce),
                    conv("double3x3_1", 3, self.double_reduce, self.double),
                    conv("double3x3_2", 3, self.double, self.double, strides),
                ),
            )
        )
        project = (conv("pool_proj", 1, filters_in, self.pool_projection),) if self.pool_projection else ()
        branches.append(Branch(self.pool, project))
        return Module(name, filters_in, strides, tuple(branches))


STEM_FILTERS = (64, 64, 192)
"""Filters of the 7x7 convolution of stride 2, the 1x1 and the 3x3."""
MODULES = ("3a", "3b", "3c", "4a", "4b", "4c", "4d", "4e", "5a", "5b")


def figure_5(projection: Literal[96, 128]) -> tuple[Row, ...]:
    """The rows 3a to 5b, with this pool projection in 4c and 4d."""
    return (
        Row(64, 64, 64, 64, 96, "average", 32),
        Row(64, 64, 96, 64, 96, "average", 64),
        Row(None, 128, 160, 64, 96, "max", None),
        Row(224, 64, 96, 96, 128, "average", 128),
        Row(192, 96, 128, 96, 128, "average", 128),
        Row(160, 128, 160, 128, 160, "average", projection),
        Row(96, 128, 192, 160, 192, "average", projection),
        Row(None, 128, 192, 192, 256, "max", None),
        Row(352, 192, 320, 160, 224, "average", 128),
        Row(352, 192, 320, 192, 224, "max", 128),
    )


@dataclass(frozen=True)
class BnInception(Network):
    """A stem, ten Inception modules of batch-normalised convolutions, global average pooling.

    Attributes:
        stem: filters of the three convolutions before the first module.
        rows: rows 3a to 5b of Figure 5.
        num_classes: outputs of the last dense layer.
        image_size: side of the input in pixels.
        mean: what is subtracted from the image.
    """

    kind = "bn-inception"

    stem: Annotated[tuple[Filters, ...], AtMost(3)]
    rows: Annotated[tuple[Row, ...], AtMost(len(MODULES))]
    num_classes: NumClasses
    image_size: ImageSize
    mean: Mean

    name = "BN-Inception"

    def __post_init__(self) -> None:
        check_count("A network has one output for each class.", self.num_classes, "num_classes", 2, MAX_CLASSES)
        check_count("The stem has three convolutions.", len(self.stem), "stem", 3)
        check_count("The network has ten modules.", len(self.rows), "rows", len(MODULES))
        check_count(
            "An image must leave at least one pixel in every feature map.",
            self.image_size,
            "image_size",
            32,
            MAX_IMAGE_SIZE,
        )
        super().__post_init__()

    def layers(self) -> tuple[Convolution | Pool | Module, ...]:
        """The layers from the image to the last module."""
        first, reduce, second = self.stem
        made: list[Convolution | Pool | Module] = [
            Convolution("conv1", 7, CHANNELS, first, 2),
            Pool("pool1", 3, 2, "up"),
            Convolution("conv2_reduce", 1, first, reduce, 1),
            Convolution("conv2", 3, reduce, second, 1),
            Pool("pool2", 3, 2, "up"),
        ]
        filters = second
        for name, row in zip(MODULES, self.rows, strict=True):
            module = row.module(f"inception_{name}", filters)
            made.append(module)
            filters = module.filters
        return tuple(made)

    @property
    def predictions(self) -> Dense:
        """The last dense layer."""
        last = self.layers()[-1]
        assert isinstance(last, Module)
        return Dense("predictions", last.filters, self.num_classes, None)

    def weighted_layers(self) -> Iterator[WeightedLayer]:
        """Convolutions and the dense layer."""
        yield from counted(self.layers(), self.image_size)
        yield self.predictions.weighted()

    @property
    def depth(self) -> int:
        """Weighted layers on the longest path."""
        return depth(self.layers()) + 1


def bn_inception(num_classes: int = 1000, *, image_size: int = 224, projection: Literal[96, 128] = 96) -> BnInception:
    """BN-Inception.

    Args:
        num_classes: number of outputs.
        image_size: side of the image in pixels.
        projection: filters of the pool projection in 4c and 4d: 96, which the sums printed in Figure 5 need, or 128,
            which it prints.

    Raises:
        ValueError: an unknown projection, or too few classes or pixels.
    """
    check_choice("The pool projection", projection, (96, 128), "projection")
    return BnInception(STEM_FILTERS, figure_5(projection), num_classes, image_size, "channel")

"""The networks as the paper describes them: section 3.3, Table 1 (ImageNet) and section 4.2 (CIFAR-10).

An `Architecture` is a frozen value that describes a network completely and uses no framework.
The plain and the residual net of an experiment differ in one field, `shortcut`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from resnet_keras.errors import InvalidValue
from resnet_keras.spec.checks import MAX_CLASSES, MAX_IMAGE_SIZE, check_choice, check_count
from resnet_keras.spec.network import Mean, Network, WeightedLayer
from resnet_keras.spec.strict import AtMost

Shortcut = Literal["A", "B", "C"]
"""Section 4.1, "Identity vs. Projection Shortcuts".

A: identity, zero-padded where channels are added (no parameters). B: projections where dimensions change, identity
elsewhere. C: projections everywhere.
"""
UnitKind = Literal["basic", "bottleneck"]
"""Figure 5: two 3x3 convolutions (left), or 1x1, 3x3, 1x1 (right)."""
StrideIn = Literal["1x1", "3x3"]
"""Which convolution of a bottleneck unit carries the stride: the first 1x1 (the paper) or the 3x3 (later ports)."""
PoolPadding = Literal["both", "end"]
"""Where the max pool pads by one pixel: on every side (the ports), or on the right and bottom (the released nets).

Caffe does not pad but rounds the output size up, which is equivalent.
"""

CIFAR10_WIDTH, IMAGENET_WIDTH = 16, 64
"""Section 4.2 and Table 1: filters of the first stage, doubled at each later one."""
BOTTLENECK_EXPANSION = 4
"""Figure 5: the last 1x1 convolution restores four times the filters of the 3x3."""
BATCH_NORM_PARAMETERS = BATCH_NORM_STATISTICS = 2
"""For each filter: gamma and beta, and the moving mean and variance."""
MAX_UNITS = 1000
"""In all stages together; the paper's deepest net has 600."""
Filters = Annotated[int, AtMost(4096)]
Strides = Annotated[int, AtMost(8)]
"""Bounds for descriptions that may come from anyone; the paper's largest are 512 and 2."""


@dataclass(frozen=True)
class Convolution:
    """One convolution without bias, followed by batch normalisation. Padding is symmetric, `kernel_size // 2`."""

    name: str
    kernel_size: int
    filters_in: int
    filters: int
    strides: int

    @property
    def parameters(self) -> int:
        return self.kernel_size**2 * self.filters_in * self.filters + BATCH_NORM_PARAMETERS * self.filters

    def output_size(self, size: int) -> int:
        """Side in pixels of the output for an input of `size` pixels."""
        return (size + 2 * (self.kernel_size // 2) - self.kernel_size) // self.strides + 1

    def multiply_adds(self, size: int) -> int:
        """Multiply-adds for one image whose side is `size` pixels at the input of this convolution."""
        return self.kernel_size**2 * self.filters_in * self.filters * self.output_size(size) ** 2

    @property
    def moving_statistics(self) -> int:
        return BATCH_NORM_STATISTICS * self.filters

    def weighted(self, size: int) -> WeightedLayer:
        """The layer's counts for one image whose side is `size` pixels at its input."""
        outputs = self.filters * self.output_size(size) ** 2
        return WeightedLayer(self.name, self.parameters, self.moving_statistics, self.multiply_adds(size), outputs)


@dataclass(frozen=True)
class Unit:
    """One building block, Eqn. (1) and (2): y = relu(F(x) + shortcut(x)), or relu(F(x)) in a plain net."""

    name: str
    convolutions: tuple[Convolution, ...]
    shortcut: Literal["identity", "pad", "project"] | None
    projection: Convolution | None

    @property
    def filters_in(self) -> int:
        return self.convolutions[0].filters_in

    @property
    def filters(self) -> int:
        return self.convolutions[-1].filters

    @property
    def strides(self) -> int:
        """Factor by which the unit shrinks the side of its input."""
        strides = 1
        for convolution in self.convolutions:
            strides *= convolution.strides
        return strides


@dataclass(frozen=True)
class Stem:
    """The layers before the first unit: one convolution and, on ImageNet, a 3x3 max pool of stride 2.

    Attributes:
        filters, kernel_size, strides: of the convolution.
        pool: whether there is a pool.
        pool_padding: where the pool pads.
    """

    filters: Filters
    kernel_size: Annotated[int, AtMost(15)]
    strides: Strides
    pool: bool
    pool_padding: PoolPadding = "both"

    def __post_init__(self) -> None:
        if self.kernel_size % 2 == 0:
            raise InvalidValue(f"A kernel size is odd. Received: kernel_size={self.kernel_size}.")
        check_choice("The padding of the pool", self.pool_padding, get_args(PoolPadding), "pool_padding")
        if not self.pool and self.pool_padding != "both":
            raise InvalidValue(
                f"Padding of the pool needs a pool. Received: pool=False, pool_padding={self.pool_padding!r}."
            )

    def pooled_size(self, size: int) -> int:
        """Side in pixels of a map of `size` pixels after the pool, if there is one."""
        padding = 2 if self.pool_padding == "both" else 1
        return (size + padding - 3) // 2 + 1 if self.pool else size


@dataclass(frozen=True)
class Stage:
    """A row of Table 1: `units` units whose 3x3 convolutions have `filters` filters; the first unit has the stride."""

    filters: Filters
    units: Annotated[int, AtMost(MAX_UNITS)]
    strides: Strides


@dataclass(frozen=True)
class Architecture(Network):
    """A plain (`shortcut=None`) or residual network.

    Attributes:
        stem: the first convolution and any pool after it.
        stages: conv2_x, conv3_x, ... in order.
        unit: the kind of every unit.
        shortcut: option "A", "B" or "C", or None for the plain net.
        num_classes: outputs of the last dense layer.
        image_size: side of the input in pixels.
        stride_in: the convolution of a bottleneck unit that carries the stride; in basic units it is the first.
        mean: what is subtracted from the image.
    """

    kind = "resnet"

    stem: Stem
    stages: Annotated[tuple[Stage, ...], AtMost(8)]
    unit: UnitKind
    shortcut: Shortcut | None
    num_classes: Annotated[int, AtMost(MAX_CLASSES)]
    image_size: Annotated[int, AtMost(MAX_IMAGE_SIZE)]
    stride_in: StrideIn
    mean: Mean

    def __post_init__(self) -> None:
        if sum(stage.units for stage in self.stages) > MAX_UNITS:
            raise InvalidValue(f"A network has at most {MAX_UNITS} units. Received: {self.stages!r}.")
        check_choice("A shortcut", self.shortcut, (*get_args(Shortcut), None), "shortcut")
        check_choice("A stride placement", self.stride_in, get_args(StrideIn), "stride_in")
        check_count("A network has one output for each class.", self.num_classes, "num_classes", 2, MAX_CLASSES)
        smallest = self.total_strides
        check_count(
            f"An image must leave at least one pixel in every feature map: at least {smallest} pixels per side.",
            self.image_size,
            "image_size",
            smallest,
            MAX_IMAGE_SIZE,
        )
        super().__post_init__()

    @property
    def total_strides(self) -> int:
        """Pixels of the image's side for each pixel of the last stage."""
        strides = self.stem.strides * (2 if self.stem.pool else 1)
        for stage in self.stages:
            strides *= stage.strides
        return strides

    @property
    def stem_convolution(self) -> Convolution:
        return Convolution("conv1", self.stem.kernel_size, 3, self.stem.filters, self.stem.strides)

    def units(self) -> Iterator[Unit]:
        """Every unit from input to output, named `conv2_block1`, ... as in `keras.applications`."""
        filters_in = self.stem.filters
        for stage_number, stage in enumerate(self.stages, start=2):
            for unit_number in range(1, stage.units + 1):
                strides = stage.strides if unit_number == 1 else 1
                unit = self._unit(f"conv{stage_number}_block{unit_number}", filters_in, stage.filters, strides)
                filters_in = unit.filters
                yield unit

    def convolutions(self) -> Iterator[Convolution]:
        """Every convolution, projections included."""
        yield self.stem_convolution
        for unit in self.units():
            yield from unit.convolutions
            if unit.projection:
                yield unit.projection

    def sized_convolutions(self) -> Iterator[tuple[Convolution, int]]:
        """Every convolution with the side of its input in pixels."""
        yield self.stem_convolution, self.image_size
        size = self.stem.pooled_size(self.stem_convolution.output_size(self.image_size))
        for unit in self.units():
            if unit.projection:
                yield unit.projection, size
            for convolution in unit.convolutions:
                yield convolution, size
                size = convolution.output_size(size)

    def _unit(self, name: str, filters_in: int, width: int, strides: int) -> Unit:
        if self.unit == "basic":
            filters = width
            rows = [(3, width, strides), (3, width, 1)]
        else:
            filters = BOTTLENECK_EXPANSION * width
            first, middle = (strides, 1) if self.stride_in == "1x1" else (1, strides)
            rows = [(1, width, first), (3, width, middle), (1, filters, 1)]
        convolutions = []
        channels = filters_in
        for number, (kernel_size, out, stride) in enumerate(rows, start=1):
            convolutions.append(Convolution(f"{name}_{number}", kernel_size, channels, out, stride))
            channels = out

        changes = strides != 1 or filters_in != filters
        shortcut: Literal["identity", "pad", "project"] | None
        match self.shortcut:
            case None:
                shortcut = None
            case "A":
                shortcut = "pad" if changes else "identity"
            case "B":
                shortcut = "project" if changes else "identity"
            case "C":
                shortcut = "project"
        projection = Convolution(f"{name}_0", 1, filters_in, filters, strides) if shortcut == "project" else None
        return Unit(name, tuple(convolutions), shortcut, projection)

    @property
    def depth(self) -> int:
        """Weighted layers: convolutions and the dense layer; projections do not count (section 3.3)."""
        return 1 + sum(len(unit.convolutions) for unit in self.units()) + 1

    def weighted_layers(self) -> Iterator[WeightedLayer]:
        """Convolutions, projections included, and the dense layer."""
        for convolution, size in self.sized_convolutions():
            yield convolution.weighted(size)
        features = [unit.filters for unit in self.units()][-1]
        yield WeightedLayer(
            "predictions", (features + 1) * self.num_classes, 0, features * self.num_classes, self.num_classes
        )

    @property
    def name(self) -> str:
        """As the paper writes it: "plain-20", "ResNet-56", and "ResNet-34 B" where B is not the net's usual option.

        Other widths are part of the name: "ResNet-20 width 32" has 32 filters in its first stage, doubled at each
        later one; where they do not double, the filters of the stem and of each stage are listed.
        """
        filters = (self.stem.filters, *(stage.filters for stage in self.stages))
        first, *others = filters
        rule = tuple(others) == tuple(first * 2**number for number in range(len(others)))
        if rule and first == (IMAGENET_WIDTH if self.stem.pool else CIFAR10_WIDTH):
            return self.former_name
        return f"{self.former_name} width {first if rule else '-'.join(map(str, filters))}"

    @property
    def former_name(self) -> str:
        """The name without the width, which names did not include at first."""
        if self.shortcut is None:
            return f"plain-{self.depth}"
        usual = self.shortcut == usual_shortcut(self.unit)
        return f"ResNet-{self.depth}" if usual else f"ResNet-{self.depth} {self.shortcut}"


def usual_shortcut(unit: UnitKind) -> Shortcut:
    return "A" if unit == "basic" else "B"

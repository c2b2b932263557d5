"""The paper's networks by depth: Table 1 (ImageNet) and section 4.2 (CIFAR-10)."""

from typing import Literal

from resnet_keras.errors import InvalidValue
from resnet_keras.spec.architecture import (
    CIFAR10_WIDTH,
    IMAGENET_WIDTH,
    Architecture,
    Shortcut,
    Stage,
    Stem,
    StrideIn,
    UnitKind,
    usual_shortcut,
)
from resnet_keras.spec.checks import check_choice, is_count

TABLE_6_DEPTHS = (20, 32, 44, 56, 110, 1202)
"""Section 4.2: depths of the CIFAR-10 nets."""
CIFAR10_SIZE, IMAGENET_SIZE = 32, 224
"""Side of the images, in pixels."""


def cifar10(
    depth: int, shortcut: Shortcut | None = "A", num_classes: int = 10, *, image_size: int = CIFAR10_SIZE
) -> Architecture:
    """The network of section 4.2 for small images, with 6n + 2 weighted layers.

    Args:
        depth: 8, 14, 20, ... 1202; the paper has 20, 32, 44, 56, 110 and 1202.
        shortcut: "A" (the paper's), "B", "C", or None for the plain net.
        num_classes: number of outputs.
        image_size: side of the image in pixels, 32 in CIFAR-10.

    Raises:
        ValueError: a depth that is not 6n + 2, an unknown shortcut, or too few classes or pixels.
    """
    units, remainder = divmod(depth - 2, 6) if is_count(depth) else (0, 1)
    if remainder or not 1 <= units <= 200:
        raise InvalidValue(
            f"A CIFAR-10 network has 6n + 2 weighted layers, n = 1 to 200. Received: depth={depth!r}. {_nearest(depth)}"
        )
    width = CIFAR10_WIDTH
    return Architecture(
        stem=Stem(filters=width, kernel_size=3, strides=1, pool=False),
        stages=(Stage(width, units, 1), Stage(2 * width, units, 2), Stage(4 * width, units, 2)),
        unit="basic",
        shortcut=shortcut,
        num_classes=num_classes,
        image_size=image_size,
        stride_in="3x3",
        mean="pixel",
    )


IMAGENET_UNITS: dict[int, tuple[UnitKind, tuple[int, int, int, int]]] = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}
"""Table 1: the kind of unit, and the number of units in each of conv2_x to conv5_x."""


def imagenet(
    depth: int,
    shortcut: Shortcut | Literal["paper"] | None = "paper",
    num_classes: int = 1000,
    stride_in: StrideIn = "1x1",
    *,
    image_size: int = IMAGENET_SIZE,
) -> Architecture:
    """The network of Table 1.

    Args:
        depth: 18, 34, 50, 101 or 152.
        shortcut: "A", "B", "C", None for the plain net, or "paper": A for 18 and 34 layers (Table 2), else B.
        num_classes: number of outputs.
        stride_in: where a bottleneck unit has the stride: "1x1" as in the released models, "3x3" as in later ports.
        image_size: side of the image in pixels.

    Raises:
        ValueError: an unknown depth, shortcut or stride placement, or too few classes or pixels.
    """
    check_choice("The depth of an ImageNet network in the paper", depth, tuple(IMAGENET_UNITS), "depth")
    unit, units = IMAGENET_UNITS[depth]
    first, *rest = zip([IMAGENET_WIDTH * 2**stage for stage in range(4)], units, strict=True)
    return Architecture(
        stem=Stem(filters=IMAGENET_WIDTH, kernel_size=7, strides=2, pool=True),
        stages=(Stage(*first, strides=1), *(Stage(*row, strides=2) for row in rest)),
        unit=unit,
        shortcut=usual_shortcut(unit) if shortcut == "paper" else shortcut,
        num_classes=num_classes,
        image_size=image_size,
        stride_in=stride_in,
        mean="channel",
    )


def _nearest(depth: object) -> str:
    if not is_count(depth):
        return "The paper has 20, 32, 44, 56, 110 and 1202."
    below = min(max((depth - 2) // 6, 1), 200) * 6 + 2  # type: ignore[operator]
    return f"Nearest: {below}, {below + 6}." if below < 1202 else "Nearest: 1202."

"""`FineTune`: how a run starts from the weights of another net and trains on classes of its own.

Not in the paper, which fine-tunes for detection only (appendix A: batch normalisation is fixed there too).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from resnet_keras.errors import InvalidValue
from resnet_keras.spec.architecture import Architecture
from resnet_keras.spec.checks import check_choice, is_count
from resnet_keras.spec.network import Network

Freeze = Literal["none", "stages", "all-but-head"]
"""What keeps its pretrained weights: nothing, the stem and the first stages, or all but the last layer."""


@dataclass(frozen=True)
class FineTune:
    """The weights that a run starts from, and the layers that it trains.

    Attributes:
        weights: SHA-256 of the file that the weights come from.
        freeze: what keeps them. Frozen batch normalisation uses its moving averages and leaves them unchanged.
        stages: with "stages", how many: 1 is conv2_x and the stem before it.
        old_rate: learning rate of the pretrained layers, as a share of the new layer's.
    """

    weights: str
    freeze: Freeze = "none"
    stages: int = 0
    old_rate: float = 0.1

    def __post_init__(self) -> None:
        check_choice("The frozen part", self.freeze, get_args(Freeze), "freeze")
        if not is_count(self.stages) or (self.stages > 0) != (self.freeze == "stages"):
            raise InvalidValue(
                "freeze='stages' needs a number of stages, 1 or more; any other freeze takes none. "
                f"Received: freeze={self.freeze!r}, stages={self.stages!r}."
            )
        if not 0 < self.old_rate <= 1:
            raise InvalidValue(
                "Pretrained layers learn at a share of the learning rate, above 0 and at most 1. "
                f"Received: old_rate={self.old_rate!r}. To leave them unchanged, freeze them."
            )

    def frozen(self, network: Network) -> frozenset[str]:
        """Names of the weighted layers that are not trained.

        Raises:
            ValueError: stages of a network that has none, or not as many.
        """
        match self.freeze:
            case "none":
                return frozenset()
            case "all-but-head":
                return frozenset(layer.name for layer in network.weighted_layers()) - {head(network)}
        if not isinstance(network, Architecture) or self.stages > len(network.stages):
            there = f"{len(network.stages)} stages" if isinstance(network, Architecture) else "no stages"
            raise InvalidValue(f"{network.name} has {there}. Received: stages={self.stages}.")
        return frozenset(_to_stage(network, self.stages))


def head(network: Network) -> str:
    """Name of the last weighted layer, the classifier."""
    return [layer.name for layer in network.weighted_layers()][-1]


def _to_stage(network: Architecture, last: int) -> Iterator[str]:
    yield network.stem_convolution.name
    units = network.units()
    for stage in network.stages[:last]:
        for _ in range(stage.units):
            unit = next(units)
            yield from (convolution.name for convolution in unit.convolutions)
            if unit.projection:
                yield unit.projection.name

"""How a net is tested: 1-crop, 10-crop (Tables 2 and 3), multi-scale fully convolutional (Table 4). No Keras."""

from dataclasses import dataclass
from typing import Literal, get_args

from resnet_keras.data.photographs.views import MultiScale, SingleView, TenCrop, Views, scales_for
from resnet_keras.errors import InvalidValue

ProtocolName = Literal["1-crop", "10-crop", "multi-scale"]


@dataclass(frozen=True)
class Protocol:
    """How a net is tested.

    Attributes:
        name: "1-crop", "10-crop" (Tables 2 and 3) or "multi-scale" (Table 4).
        scales: shorter sides of "multi-scale", in pixels; None takes the paper's, in proportion to the net's size.
    """

    name: ProtocolName
    scales: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.name not in get_args(ProtocolName):
            raise InvalidValue(f"A protocol is {', '.join(get_args(ProtocolName))}. Received: {self.name!r}.")
        if self.scales is not None:
            if self.name != "multi-scale":
                raise InvalidValue(f"Only multi-scale takes scales. Received: {self.scales} for {self.name}.")
            MultiScale(self.scales)

    def views(self, image_size: int) -> Views:
        """The views shown to a net for images of `image_size` pixels."""
        match self.name:
            case "1-crop":
                return SingleView(image_size)
            case "10-crop":
                return TenCrop(image_size)
            case "multi-scale":
                return MultiScale(self.scales or scales_for(image_size))

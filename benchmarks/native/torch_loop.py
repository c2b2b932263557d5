"""PyTorch as its users write it: `nn.Module`s in channels_last, autocast for bfloat16, `torch.optim.SGD`.

PyTorch's moving variance is unbiased, Keras's biased. Nothing else differs.
"""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  PyTorch's own custom
from torch import Tensor, nn

from native.loop import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, MOMENTUM, WEIGHT_DECAY, Weights
from resnet_keras.spec.architecture import Architecture, Convolution, Unit


class ConvBN(nn.Module):
    def __init__(self, convolution: Convolution) -> None:
        super().__init__()
        size = convolution.kernel_size
        self.name = convolution.name
        self.conv = nn.Conv2d(
            convolution.filters_in, convolution.filters, size, convolution.strides, size // 2, bias=False
        )
        self.bn = nn.BatchNorm2d(convolution.filters, eps=BATCH_NORM_EPSILON, momentum=1 - BATCH_NORM_MOMENTUM)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))


class PaddedShortcut(nn.Module):
    """Option A: every second pixel, and channels of zeros."""

    def __init__(self, unit: Unit) -> None:
        super().__init__()
        self.strides, self.added = unit.strides, unit.filters - unit.filters_in

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.strides, :: self.strides], (0, 0, 0, 0, 0, self.added))


class Residual(nn.Module):
    def __init__(self, unit: Unit) -> None:
        super().__init__()
        *inner, last = (ConvBN(convolution) for convolution in unit.convolutions)
        steps: list[nn.Module] = [step for conv_bn in inner for step in (conv_bn, nn.ReLU(inplace=True))]
        self.residual = nn.Sequential(*steps, last)
        self.shortcut: nn.Module | None = None
        match unit.shortcut:
            case "identity":
                self.shortcut = nn.Identity()
            case "pad":
                self.shortcut = PaddedShortcut(unit)
            case "project":
                assert unit.projection is not None
                self.shortcut = ConvBN(unit.projection)

    def forward(self, x: Tensor) -> Tensor:
        residual = self.residual(x)
        return F.relu(residual if self.shortcut is None else residual + self.shortcut(x), inplace=True)


class ResNet(nn.Module):
    def __init__(self, architecture: Architecture, mean: np.ndarray) -> None:
        super().__init__()
        units = list(architecture.units())
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.conv1 = ConvBN(architecture.stem_convolution)
        self.pool = nn.MaxPool2d(3, 2, padding=1) if architecture.stem.pool else nn.Identity()
        self.units = nn.Sequential(*(Residual(unit) for unit in units))
        self.predictions = nn.Linear(units[-1].filters, architecture.num_classes)
        nn.init.kaiming_normal_(self.predictions.weight, nonlinearity="relu")
        nn.init.zeros_(self.predictions.bias)

    def forward(self, images: Tensor) -> Tensor:
        x = (images.float() - self.mean).permute(0, 3, 1, 2)  # already channels_last in memory
        x = self.pool(F.relu(self.conv1(x), inplace=True))
        return self.predictions(self.units(x).mean((2, 3)))


class TorchLoop:
    """See `native.loop.Loop`."""

    def __init__(
        self, architecture: Architecture, mean: np.ndarray, *, bfloat16: bool, learning_rate: float, compiled: bool
    ) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.net = ResNet(architecture, mean).to(self.device, memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(self.net.parameters(), learning_rate, MOMENTUM, weight_decay=WEIGHT_DECAY)
        self._forward = torch.compile(self.net) if compiled else self.net
        self._bfloat16 = bfloat16
        self._reset()

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.net.parameters())

    def load(self, weights: Weights) -> None:
        def copy(target: Tensor, source: np.ndarray) -> None:
            target.copy_(torch.from_numpy(np.array(source)))

        with torch.no_grad():
            for part in self.net.modules():
                if isinstance(part, ConvBN):
                    (kernel,) = weights[f"{part.name}_conv"]
                    copy(part.conv.weight, kernel.transpose(3, 2, 0, 1))
                    bn = part.bn
                    targets = (bn.weight, bn.bias, bn.running_mean, bn.running_var)
                    for target, source in zip(targets, weights[f"{part.name}_bn"], strict=True):
                        copy(target, source)
            kernel, bias = weights["predictions"]
            copy(self.net.predictions.weight, kernel.T)
            copy(self.net.predictions.bias, bias)

    def logits(self, x: np.ndarray) -> np.ndarray:
        self.net.eval()
        with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16, enabled=self._bfloat16):
            return self.net(torch.from_numpy(x).to(self.device)).float().cpu().numpy()

    def to_device(self, x: np.ndarray, y: np.ndarray) -> tuple[Tensor, Tensor]:
        return (
            torch.from_numpy(x).to(self.device, non_blocking=True),
            torch.from_numpy(y).long().to(self.device, non_blocking=True),
        )

    def step(self, batch: tuple[Tensor, Tensor]) -> None:
        images, labels = batch
        self.net.train()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bfloat16):
            logits = self._forward(images)
            loss = F.cross_entropy(logits, labels)
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            self._loss += loss * len(labels)
            self._right += (logits.argmax(1) == labels).sum()
        self._seen += len(labels)

    def measure(self) -> tuple[float, float]:
        seen = max(self._seen, 1)
        measured = self._loss.item() / seen, self._right.item() / seen
        self._reset()
        return measured

    def _reset(self) -> None:
        self._loss = torch.zeros((), device=self.device)
        self._right = torch.zeros((), dtype=torch.long, device=self.device)
        self._seen = 0

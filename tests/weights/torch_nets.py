"""Other projects' nets as PyTorch modules, with numbers as after training, independent of our implementation."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

IMAGES = np.random.default_rng(1).integers(0, 256, (6, 32, 32, 3)).astype(np.uint8)
A_MARTYN = (
    (0.4918687901200927, 0.49185976472299225, 0.4918583862227116),
    (
        0.24697121702736,
        0.24696766978537033,
        0.2469719877121087,
    ),
)
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Block(nn.Module):
    """Two 3x3 convolutions; `zeros` is option A's padding before and after the channels, or None for no shortcut."""

    def __init__(self, channels, filters, stride, zeros, option="A"):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.stride, self.zeros = stride, zeros
        if option == "B" and stride > 1:
            projection = nn.Conv2d(channels, filters, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(filters))

    def forward(self, x):
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if hasattr(self, "shortcut"):
            y = y + self.shortcut(x)
        elif self.zeros is not None:
            y = y + functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, *self.zeros))
        return functional.relu(y)


class Akamaster(nn.Module):
    pixels = IMAGENET

    def __init__(self, units, option="A", classes=10):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        channels = 16
        for number, filters in enumerate((16, 32, 64), start=1):
            blocks = []
            for position in range(units):
                stride = 2 if number > 1 and position == 0 else 1
                zeros = (filters // 4, filters // 4) if stride == 2 else (0, 0)
                blocks.append(Block(channels, filters, stride, zeros, option))
                channels = filters
            setattr(self, f"layer{number}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, classes)

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


class AMartyn(nn.Module):
    pixels = A_MARTYN

    def __init__(self, units, shortcuts=True, classes=10):
        super().__init__()

        def block(channels, filters):
            added = filters - channels
            return Block(channels, filters, 2 if added else 1, (0, added) if shortcuts else None)

        self.convIn, self.bnIn = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.stack1 = nn.ModuleList([block(16, 16) for _ in range(units)])
        self.stack2a = block(16, 32)
        self.stack2b = nn.ModuleList([block(32, 32) for _ in range(units - 1)])
        self.stack3a = block(32, 64)
        self.stack3b = nn.ModuleList([block(64, 64) for _ in range(units - 1)])
        self.fcOut = nn.Linear(64, classes)

    def forward(self, x):
        x = functional.relu(self.bnIn(self.convIn(x)))
        for part in (*self.stack1, self.stack2a, *self.stack2b, self.stack3a, *self.stack3b):
            x = part(x)
        return self.fcOut(x.mean((2, 3)))


def prepared(images, pixels):
    mean, std = (torch.tensor(values, dtype=torch.float64)[:, None, None] for values in pixels)
    return ((torch.from_numpy(images).permute(0, 3, 1, 2).double() / 255 - mean) / std).float()


def settle(net, images, pixels, seed=0):
    """Sets random gammas and betas and the moving statistics of these images, so that no two channels are alike."""
    torch.manual_seed(seed)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.5)
            module.momentum = 1.0
    with torch.no_grad():
        net.train()(prepared(images, pixels))
    return net.eval()


def probabilities(net, images, pixels):
    with torch.no_grad():
        found = net(prepared(images, pixels))
    return functional.softmax(getattr(found, "logits", found), dim=1).numpy()

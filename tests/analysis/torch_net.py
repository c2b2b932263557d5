"""The nets of section 4.2 again, as a plain PyTorch module to check the analysis against."""

from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

EPSILON = 1e-5


class Branch(nn.Module):
    """Convolution and batch normalisation."""

    def __init__(self, filters_in, filters, kernel_size, stride, batch_norm):
        super().__init__()
        self.conv = nn.Conv2d(filters_in, filters, kernel_size, stride, kernel_size // 2, bias=False)
        self.bn = nn.BatchNorm2d(filters, EPSILON) if batch_norm else nn.Identity()

    def forward(self, x):
        return self.bn(self.conv(x))


class Unit(nn.Module):
    def __init__(self, filters_in, filters, stride, shortcut, batch_norm):
        super().__init__()
        self.first = Branch(filters_in, filters, 3, stride, batch_norm)
        self.second = Branch(filters, filters, 3, 1, batch_norm)
        self.stride, self.added, self.option = stride, filters - filters_in, shortcut
        projects = shortcut == "C" or (shortcut == "B" and (stride > 1 or self.added))
        self.projection = Branch(filters_in, filters, 1, stride, batch_norm) if projects else None

    def shortcut(self, x):
        if self.projection is not None:
            return self.projection(x)
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.added))

    def forward(self, x):
        z = self.second(torch.relu(self.first(x)))
        return torch.relu(z if self.option is None else z + self.shortcut(x))


class CifarNet(nn.Module):
    """From pixels minus `mean`, (n, 3, size, size), to logits."""

    def __init__(self, units_each, shortcut, *, batch_norm=True, num_classes=10):
        super().__init__()
        self.stem = Branch(3, 16, 3, 1, batch_norm)
        self.units = nn.ModuleDict()
        filters_in = 16
        for stage, filters in ((2, 16), (3, 32), (4, 64)):
            for number in range(1, units_each + 1):
                stride = 2 if stage > 2 and number == 1 else 1
                unit = Unit(filters_in, filters, stride, shortcut, batch_norm)
                self.units[f"conv{stage}_block{number}"], filters_in = unit, filters
        self.dense = nn.Linear(64, num_classes)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        for unit in self.units.values():
            x = unit(x)
        return self.dense(x.mean((2, 3)))

    def branches(self):
        """Every convolution with its batch normalisation, under our layer's name."""
        yield "conv1", self.stem
        for name, unit in self.units.items():
            yield f"{name}_1", unit.first
            yield f"{name}_2", unit.second
            if unit.projection is not None:
                yield f"{name}_0", unit.projection


def like(model, units_each, shortcut, *, batch_norm=True):
    """The PyTorch net with a Keras model's weights, and the mean that the model subtracts: (size, size, 3)."""
    net = CifarNet(units_each, shortcut, batch_norm=batch_norm, num_classes=model.output_shape[-1])
    with torch.no_grad():
        for name, branch in net.branches():
            (kernel,) = model.get_layer(f"{name}_conv").get_weights()
            branch.conv.weight.copy_(torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy()))
            if batch_norm:
                values = model.get_layer(f"{name}_bn").get_weights()
                bn = branch.bn
                for held, value in zip((bn.weight, bn.bias, bn.running_mean, bn.running_var), values, strict=True):
                    held.copy_(torch.from_numpy(np.array(value)))
        kernel, bias = model.get_layer("predictions").get_weights()
        net.dense.weight.copy_(torch.from_numpy(kernel.T.copy()))
        net.dense.bias.copy_(torch.from_numpy(np.array(bias)))
    return net, model.get_layer("mean").get_weights()[0].reshape(model.input_shape[1:])


def tensor(images, mean):
    return torch.from_numpy((images.astype(np.float32) - mean).transpose(0, 3, 1, 2).copy())


def response_stds(net, x):
    """Standard deviations of the 3x3 layers' responses, by hooks on batch normalisation in prediction mode."""
    found = {}
    net.eval()
    hooks = [
        branch.bn.register_forward_hook(lambda _, __, out, name=name: found.update({name: float(out.double().std())}))
        for name, branch in net.branches()
        if branch.conv.kernel_size == (3, 3)
    ]
    with torch.no_grad():
        net(x)
    for hook in hooks:
        hook.remove()
    return found


def gradients(net, x, y):
    """Norms of units and kernels, and shares, by autograd; each batch of `x` and `y` has its own statistics."""
    net.train()
    squares, through, images = {}, {}, 0
    for part, labels in zip(x, y, strict=True):
        inputs, outputs, sums = {}, {}, {}

        def keep(_, args, out, name, inputs=inputs, outputs=outputs):
            inputs[name], outputs[name] = args[0], out
            out.retain_grad()

        def keep_sum(_, __, out, name, sums=sums):
            out.retain_grad()
            sums[name] = out

        hooks = [unit.register_forward_hook(lambda *a, name=name: keep(*a, name)) for name, unit in net.units.items()]
        hooks += [
            unit.second.register_forward_hook(lambda *a, name=name: keep_sum(*a, name))
            for name, unit in net.units.items()
        ]
        stem = torch.relu(net.stem(part))
        stem.retain_grad()
        outputs["stem"] = stem
        a = stem
        for unit in net.units.values():
            a = unit(a)
        F.cross_entropy(net.dense(a.mean((2, 3))), labels, reduction="sum").backward()
        for hook in hooks:
            hook.remove()
        for name, out in outputs.items():
            squares[name] = squares.get(name, 0.0) + float(out.grad.double().square().sum())
        for name, unit in net.units.items():
            if unit.option is not None:
                alone = inputs[name].detach().requires_grad_()
                (back,) = torch.autograd.grad(unit.shortcut(alone), alone, sums[name].grad)
                through[name] = through.get(name, 0.0) + float(back.double().square().sum())
        images += len(part)
    names = ["stem", *net.units]
    units = {
        name: (
            (squares[name] / images) ** 0.5,
            (through[name] / squares[before]) ** 0.5 if name in through else None,
        )
        for before, name in pairwise(names)
    }
    kernels = {name: float(branch.conv.weight.grad.norm()) / images for name, branch in net.branches()}
    return units, kernels

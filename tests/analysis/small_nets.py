"""Nets for the tests of the analysis: small random ones, and a-martyn's trained ones."""

import os
from pathlib import Path

import numpy as np
import pytest

from resnet_keras import build, cifar10, subtract_mean
from resnet_keras.analysis.nets import INITIAL, Net
from resnet_keras.spec.measurements import Subject

SIZE, CLASSES = 16, 4


def data(count=12, size=SIZE, classes=CLASSES):
    random = np.random.default_rng(3)
    return random.integers(0, 256, (count, size, size, 3)).astype(np.uint8), (np.arange(count) % classes).astype(
        "int32"
    )


def net(depth=8, shortcut="A", architecture=None, **options):
    """A net whose batch normalisation has seen `data`, with random gammas and betas."""
    architecture = architecture or cifar10(depth, shortcut, CLASSES, image_size=SIZE)
    model = build(architecture, seed=1, **options)
    x, _ = data(size=architecture.image_size, classes=architecture.num_classes)
    subtract_mean(model, x.mean(axis=0))
    norms = [layer for layer in model.layers if layer.name.endswith("_bn")]
    for layer in norms:
        layer.momentum = 0.0
    model(x, training=True)
    random = np.random.default_rng(5)
    for layer in norms:
        gamma, beta, mean, variance = layer.get_weights()
        if not options.get("zero_gamma"):
            gamma, beta = random.uniform(0.5, 1.5, gamma.shape), random.uniform(-0.5, 0.5, beta.shape)
        layer.set_weights([gamma, beta, mean, variance])
    return Net(Subject(architecture.name, architecture.depth, shortcut is not None), model, architecture, INITIAL)


def martyn(name):
    """A trained net of github.com/a-martyn/resnet: its state dict, from A_MARTYN_DIR, in our net."""
    folder = os.environ.get("A_MARTYN_DIR")
    if not folder:
        pytest.skip("needs the .pt files of a-martyn/resnet in A_MARTYN_DIR")
    torch = pytest.importorskip("torch")
    held = torch.load(Path(folder) / f"{name}.pt", weights_only=True, map_location="cpu")
    depth = int(name[-2:])
    architecture = cifar10(depth, "A" if name.startswith("resnet") else None)
    model = build(architecture)
    mean = np.array((0.4918687901200927, 0.49185976472299225, 0.4918583862227116))
    std = np.array((0.24697121702736, 0.24696766978537033, 0.2469719877121087))
    subtract_mean(model, (255 * mean).astype(np.float32))
    names = {"conv1": ("convIn", "bnIn")}
    for stage, before in ((2, "stack1"), (3, "stack2"), (4, "stack3")):
        for number in range((depth - 2) // 6):
            first = stage > 2 and number == 0
            place = f"{before}.{number}" if stage == 2 else f"{before}a" if first else f"{before}b.{number - 1}"
            for i in (1, 2):
                names[f"conv{stage}_block{number + 1}_{i}"] = (f"{place}.conv{i}", f"{place}.bn{i}")
    for ours, (conv, bn) in names.items():
        kernel = held[f"{conv}.weight"].numpy().transpose(2, 3, 1, 0)
        scale = (255 * std)[None, None, :, None] if ours == "conv1" else 1.0
        model.get_layer(f"{ours}_conv").set_weights([kernel / scale])
        parts = ("weight", "bias", "running_mean", "running_var")
        model.get_layer(f"{ours}_bn").set_weights([held[f"{bn}.{part}"].numpy() for part in parts])
    model.get_layer("predictions").set_weights([held["fcOut.weight"].numpy().T, held["fcOut.bias"].numpy()])
    return Net(Subject(architecture.name, depth, architecture.shortcut is not None), model, architecture, INITIAL)

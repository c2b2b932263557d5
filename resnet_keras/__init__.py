"""Deep Residual Learning for Image Recognition (He et al., 2015) in Keras 3.

    architecture = resnet_keras.cifar10(56)         the net as the paper describes it; no framework yet
    model = resnet_keras.build(architecture)        stock Keras layers: raw pixels in, probabilities out
    data = resnet_keras.load_data("my.npz")         CIFAR-10 without a path; image_data takes arrays
    resnet_keras.run(architecture, resnet_keras.CIFAR10, data, seed=0, out=Path("runs/mine"))     writes a run folder
    resnet_keras.load("runs/mine/model.keras")      its net, checked: the file may come from anyone

`build`, `run` and `load` import Keras only when first accessed, so figures and tables do without it; the data wing
imports NumPy likewise.
"""

import importlib
from typing import TYPE_CHECKING, Any

from resnet_keras.errors import Damaged, Diverged, InputOutput, InvalidValue, OtherRun, Stopped
from resnet_keras.spec.architecture import Architecture
from resnet_keras.spec.baselines.bn_inception import bn_inception
from resnet_keras.spec.baselines.googlenet import googlenet
from resnet_keras.spec.baselines.prelu_net import prelu_net
from resnet_keras.spec.baselines.vgg import vgg
from resnet_keras.spec.paper_nets import cifar10, imagenet
from resnet_keras.spec.paper_recipes import CIFAR10, cifar10_recipe
from resnet_keras.spec.recipe import Recipe

if TYPE_CHECKING:
    from resnet_keras.data.small.images import image_data
    from resnet_keras.data.small.sources import load as load_data
    from resnet_keras.experiments.finetune import finetune
    from resnet_keras.experiments.run import run, run_seeds
    from resnet_keras.nets.build import build, subtract_mean
    from resnet_keras.nets.features import features
    from resnet_keras.weights.convert.convert import convert
    from resnet_keras.weights.load import load
    from resnet_keras.weights.save import save

__version__ = "0.1.0"
__all__ = [
    "CIFAR10",
    "Architecture",
    "Damaged",
    "Diverged",
    "InputOutput",
    "InvalidValue",
    "OtherRun",
    "Recipe",
    "Stopped",
    "bn_inception",
    "build",
    "cifar10",
    "cifar10_recipe",
    "convert",
    "features",
    "finetune",
    "googlenet",
    "image_data",
    "imagenet",
    "load",
    "load_data",
    "prelu_net",
    "run",
    "run_seeds",
    "save",
    "subtract_mean",
    "vgg",
]

_WHEN_ACCESSED = {
    "build": "resnet_keras.nets.build.build",
    "convert": "resnet_keras.weights.convert.convert.convert",
    "features": "resnet_keras.nets.features.features",
    "finetune": "resnet_keras.experiments.finetune.finetune",
    "image_data": "resnet_keras.data.small.images.image_data",
    "load": "resnet_keras.weights.load.load",
    "load_data": "resnet_keras.data.small.sources.load",
    "run": "resnet_keras.experiments.run.run",
    "run_seeds": "resnet_keras.experiments.run.run_seeds",
    "save": "resnet_keras.weights.save.save",
    "subtract_mean": "resnet_keras.nets.build.subtract_mean",
}


def __getattr__(name: str) -> Any:
    if name in _WHEN_ACCESSED:
        module, _, attribute = _WHEN_ACCESSED[name].rpartition(".")
        return getattr(importlib.import_module(module), attribute)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

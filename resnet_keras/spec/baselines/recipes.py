"""How the comparison systems were trained, as their papers describe it.

docs/deviations.md says what a `Recipe` cannot express. Initialisation and dropout belong to the networks and are
defined with their bodies, in `nets.baselines`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from resnet_keras.spec.augmentation import ScaledCrop
from resnet_keras.spec.baselines.bn_inception import bn_inception
from resnet_keras.spec.baselines.googlenet import googlenet
from resnet_keras.spec.baselines.prelu_net import prelu_net
from resnet_keras.spec.baselines.vgg import vgg
from resnet_keras.spec.network import Network
from resnet_keras.spec.paper_recipes import IMAGENET_EPOCH
from resnet_keras.spec.recipe import Recipe
from resnet_keras.spec.schedules import Exponential, Plateau

EPOCH_OF_32, EPOCH_OF_128 = 8 * IMAGENET_EPOCH, 2 * IMAGENET_EPOCH
"""Iterations in an epoch, approximately, in batches of 32 and of 128 photographs."""
VGG = Recipe(
    iterations=370_000,
    schedule=Plateau(divisions=3),
    learning_rate=0.01,
    batch_size=256,
    weight_decay=5e-4,
    augmentation=ScaledCrop((256, 512)),
    evaluate_every=IMAGENET_EPOCH,
)
"""Simonyan and Zisserman 2015, section 3.1: 370K iterations, 74 epochs; scales jittered from 256 to 512."""
PRELU_NET = Recipe(
    iterations=80 * EPOCH_OF_128,
    schedule=Plateau(divisions=2),
    learning_rate=0.01,
    batch_size=128,
    weight_decay=5e-4,
    augmentation=ScaledCrop((256, 512)),
    evaluate_every=EPOCH_OF_128,
)
"""He et al. 2015a, section 2.3: about 80 epochs; 1e-2, 1e-3 and 1e-4, "switched when the error plateaus"."""
GOOGLENET = Recipe(
    iterations=10_000_000,
    schedule=Exponential(0.96, 8 * EPOCH_OF_32),
    learning_rate=0.01,
    batch_size=32,
    weight_decay=2e-4,
    augmentation=ScaledCrop((256, 256), colour=0.0),
    evaluate_every=EPOCH_OF_32,
)
"""Szegedy et al. 2015, section 6: 4 % less every 8 epochs; the other values are those of Caffe's `bvlc_googlenet`."""
BN_INCEPTION = replace(
    GOOGLENET,
    iterations=6_000_000,
    schedule=Exponential(0.96, 8 * EPOCH_OF_32 // 6),
    learning_rate=0.045,
    weight_decay=GOOGLENET.weight_decay / 5,
)
"""Ioffe and Szegedy 2015, section 4.2, BN-x30: a rate of 0.045 falling six times faster, a fifth of the decay."""


class Trained(NamedTuple):
    """A comparison system and how it is trained."""

    network: Callable[[int], Network]
    """Makes the network for images of this side in pixels."""
    recipe: Recipe


COMPARISON_SYSTEMS = {
    "vgg-16": Trained(lambda size: vgg(16, image_size=size), VGG),
    "vgg-19": Trained(lambda size: vgg(19, image_size=size), VGG),
    "googlenet": Trained(lambda size: googlenet(auxiliary=True, image_size=size), GOOGLENET),
    "prelu-net-a": Trained(lambda size: prelu_net("A", image_size=size), PRELU_NET),
    "prelu-net-b": Trained(lambda size: prelu_net("B", image_size=size), PRELU_NET),
    "prelu-net-c": Trained(lambda size: prelu_net("C", image_size=size), PRELU_NET),
    "bn-inception": Trained(lambda size: bn_inception(image_size=size), BN_INCEPTION),
}
"""The comparison systems by the name that `recipes/imagenet.py --architecture` takes."""

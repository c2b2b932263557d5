"""The paper's recipes, and those of its ports and successors."""

from dataclasses import replace

from resnet_keras.spec.augmentation import ScaledCrop
from resnet_keras.spec.recipe import Recipe
from resnet_keras.spec.schedules import Cosine, Plateau, Ramp, Steps, Warmup

CIFAR10 = Recipe()
"""Section 4.2, for fewer than 110 layers."""
WARMED_DEPTH = 110
"""Section 4.2 warms up its 110-layer net, and trains the 1202-layer net in the same way."""
IMAGENET_EPOCH = 5_000
"""Iterations in an epoch, approximately: 1.28 million photographs in batches of 256 make 5,005."""
IMAGENET = Recipe(
    iterations=600_000,
    schedule=Plateau(),
    batch_size=256,
    augmentation=ScaledCrop(),
    evaluate_every=IMAGENET_EPOCH,
)
"""Section 3.4: "up to 60 x 10^4 iterations", the learning rate divided by 10 "when the error plateaus"."""
IMAGENET_STEPS = replace(
    IMAGENET,
    iterations=90 * IMAGENET_EPOCH,
    schedule=Steps((30 * IMAGENET_EPOCH, 60 * IMAGENET_EPOCH)),
)
"""The recipe of most ports: 90 epochs, the learning rate divided by 10 after 30 and 60 (fb.resnet.torch)."""
IMAGENET_MODERN = replace(
    IMAGENET_STEPS,
    schedule=Cosine(),
    label_smoothing=0.1,
    zero_gamma=True,
    average_over=10_000,
)
"""He et al. 2019, "Bag of Tricks": cosine schedule, label smoothing and zero gamma; with averaged weights. Its
bottleneck units have the stride in the 3x3 convolution (`Architecture.stride_in`)."""
LARGE_BATCH = 8_192
IMAGENET_LARGE = replace(
    IMAGENET_STEPS,
    iterations=round(90 * IMAGENET_EPOCH * IMAGENET.batch_size / LARGE_BATCH),
    schedule=Steps(tuple(round(epoch * IMAGENET_EPOCH * IMAGENET.batch_size / LARGE_BATCH) for epoch in (30, 60, 80))),
    batch_size=LARGE_BATCH,
    learning_rate=0.1 * LARGE_BATCH / IMAGENET.batch_size,
    warmup=Ramp(round(5 * IMAGENET_EPOCH * IMAGENET.batch_size / LARGE_BATCH), start=IMAGENET.batch_size / LARGE_BATCH),
    zero_gamma=True,
    evaluate_every=round(IMAGENET_EPOCH * IMAGENET.batch_size / LARGE_BATCH),
)
"""Goyal et al. 2017, for 256 GPUs: the learning rate grows with the batch size, follows a warm-up of 5 epochs and is
divided by 10 after 30, 60 and 80 of 90 epochs. Its bottleneck units have the stride in the 3x3 convolution."""
FINETUNE = Recipe(
    iterations=400,
    schedule=Steps((200, 300)),
    learning_rate=0.05,
    batch_size=32,
    evaluate_every=100,
)
"""Not from the paper: a short schedule for a few hundred images, from the weights of a trained net."""


def cifar10_recipe(depth: int) -> Recipe:
    """The paper's recipe for a CIFAR-10 net of `depth` layers, with the warm-up from 110 layers on."""
    return replace(CIFAR10, warmup=Warmup()) if depth >= WARMED_DEPTH else CIFAR10

"""The short form of the experiment of Figures 1 and 6: minutes on two cores. Not the paper's (docs/deviations.md)."""

from dataclasses import replace

from resnet_keras.spec.augmentation import PaddedCrop
from resnet_keras.spec.recipe import Recipe
from resnet_keras.spec.schedules import Steps, Warmup

DEPTHS = (8, 26)
"""Weighted layers of the nets, plain and residual."""
IMAGE_SIZE = 16
"""Side in pixels to which CIFAR-10's images are averaged."""
SHORT = Recipe(
    iterations=800,
    schedule=Steps((600,)),
    batch_size=64,
    learning_rate=0.05,
    augmentation=PaddedCrop(2),
    evaluate_every=50,
)
"""Chosen by trial on CIFAR-10 averaged to 16 pixels; docs/how-it-was-made.md says what else was tried."""
SHORT_ON_PATTERNS = replace(
    SHORT, iterations=1_200, schedule=Steps((900,)), warmup=Warmup(learning_rate=0.01), evaluate_every=75
)
"""For generated patterns: as many minutes, since they need not be read and fewer of them are measured. Warmed up like
the paper's 110-layer net (section 4.2), as a deep residual net without it sometimes starts too slowly to catch up."""

"""The short form of the experiment of Figures 1 and 6: minutes on two cores. Not the paper's: docs/deviations.md."""

from dataclasses import replace

from resnet_keras.spec.augmentation import PaddedCrop
from resnet_keras.spec.recipe import Recipe
from resnet_keras.spec.schedules import Steps, Warmup

DEPTHS = (8, 26)
"""Weighted layers of its nets, plain and residual."""
IMAGE_SIZE = 16
"""Pixels, to which CIFAR-10's are averaged."""
SHORT = Recipe(
    iterations=800,
    schedule=Steps((600,)),
    batch_size=64,
    learning_rate=0.05,
    augmentation=PaddedCrop(2),
    evaluate_every=50,
)
"""Chosen by trying, on CIFAR-10 averaged to 16 pixels: docs/how-it-was-made.md tells what else was tried."""
SHORT_ON_PATTERNS = replace(
    SHORT, iterations=1_200, schedule=Steps((900,)), warmup=Warmup(learning_rate=0.01), evaluate_every=75
)
"""On generated patterns: as many minutes, since they need no reading and fewer of them are measured. Warmed up as the
paper's 110-layer net is (section 4.2): without, a deep residual net sometimes starts too slowly to catch up."""

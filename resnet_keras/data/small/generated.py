"""Shapes: generated images that stand in for CIFAR-10 where there is neither disk nor network to get it from.

Ten outlines at any place, size and angle, in two random colours, over a gradient, behind stray lines and noise. No
pixel tells the class alone: a net has to see edges, then corners and curves, then how they close. Nothing here is a
result of the paper.
"""

import numpy as np

from resnet_keras.data.small.images import ImageData, split

CLASSES = ("disk", "ring", "square", "frame", "triangle", "plus", "bars", "half disk", "corner", "crescent")
SEED = 2015
SIZE = 32
TRAIN_IMAGES, TEST_IMAGES = 20_000, 2_000
STRAY_LINES = 3
NOISE = 20.0
"""Standard deviation, in grey levels of 0..255."""
_CHUNK = 1_000


def generated() -> ImageData:
    """The same 22,000 images of 32 x 32 pixels at every call, 18,000 of them to train on."""
    random = np.random.default_rng(SEED)
    labels = random.integers(0, len(CLASSES), TRAIN_IMAGES + TEST_IMAGES).astype(np.int32)
    chunks = np.split(labels, range(_CHUNK, len(labels), _CHUNK))
    images = np.concatenate([_draw(chunk, random) for chunk in chunks])
    return split(
        name="generated shapes",
        source=f"resnet_keras.data.generated, seed {SEED}",
        train=(images[:TRAIN_IMAGES], labels[:TRAIN_IMAGES]),
        test=(images[TRAIN_IMAGES:], labels[TRAIN_IMAGES:]),
        num_classes=len(CLASSES),
        generated=True,
        class_names=CLASSES,
    )


def _draw(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Images (n, 32, 32, 3), uint8, of the shapes that `labels` names."""
    n = len(labels)

    def uniform(low: float, high: float, *shape: int) -> np.ndarray:
        return random.uniform(low, high, (n, *shape)).astype(np.float32)

    row, column = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    radius = uniform(6.0, 11.0, 1, 1)
    x, y = _turned(
        column - (SIZE - 1) / 2 + uniform(-5, 5, 1, 1),
        row - (SIZE - 1) / 2 + uniform(-5, 5, 1, 1),
        uniform(0, 2 * np.pi, 1, 1),
    )
    distance = np.empty((n, SIZE, SIZE), np.float32)
    for label, outline in enumerate(_outlines(x / radius, y / radius)):
        distance[labels == label] = outline[labels == label]
    shape = np.clip(0.5 - distance * radius, 0, 1)[..., None]  # one pixel of smooth edge

    background = uniform(30, 225, 1, 1, 3)
    contrast = uniform(35, 120, 1, 1, 3) * np.where(background > 127, -1, 1)
    slope = uniform(-1.5, 1.5, 1, 1, 3) * (row - SIZE / 2)[None, ..., None]
    image = background + slope + shape * contrast
    for _ in range(STRAY_LINES):
        across, _along = _turned(column - uniform(0, SIZE, 1, 1), row - uniform(0, SIZE, 1, 1), uniform(0, np.pi, 1, 1))
        line = np.clip(1.2 - np.abs(across), 0, 1)[..., None]
        image += line * (uniform(0, 255, 1, 1, 3) - image)
    image += random.normal(0, NOISE, image.shape).astype(np.float32)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _turned(x: np.ndarray, y: np.ndarray, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)


def _outlines(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """For each class the signed distance to its outline, about, in units of the shape's radius; negative inside."""
    r = np.hypot(x, y)
    box = np.maximum(np.abs(x), np.abs(y))
    disk, square = r - 1, box - 0.9
    triangle = np.maximum(0.866 * np.abs(x) + 0.5 * y, -y) - 0.5
    arms = np.minimum(np.abs(x), np.abs(y)) - 0.3
    return [
        disk,
        np.maximum(disk, 0.55 - r),
        square,
        np.maximum(square, 0.5 - box),
        triangle,
        np.maximum(arms, box - 1),
        np.maximum(square, 0.35 - np.abs(x)),
        np.maximum(disk, y),
        np.maximum(square, np.minimum(x, y) - -0.3),
        np.maximum(disk, 0.8 - np.hypot(x - 0.5, y)),
    ]

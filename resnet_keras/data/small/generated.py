"""Patterns: generated images that stand in for CIFAR-10 if it is available neither from disk nor over the network.

The patterns are smooth colour fields whose amplitude falls with frequency as in photographs. Each class has twenty
kinds, which share a common part. An image is one kind, shifted by up to four pixels, with a field of its own on top.
So, as with photographs, colours and coarse shapes reveal a little at once, and the rest has to be learned kind by kind:
there a deep plain net falls far behind, and a deep residual net stays close to the shallow one. Nothing here is a
result of the paper. docs/how-it-was-made.md describes what else was tried.
"""

import numpy as np

from resnet_keras.data.small.images import ImageData, image_data

CLASSES = tuple(f"pattern {number}" for number in range(10))
KINDS = 20
"""Kinds per class."""
SHARED = 0.5
"""Share of a kind's amplitude that it has in common with the other kinds of its class."""
CONTRAST, OWN_CONTRAST, NOISE, BRIGHTNESS = 40.0, 40.0, 6.0, 15.0
"""Standard deviations, in grey levels of 0..255: of a kind, an image's own field, its pixel noise and its mean."""
MEAN = 120.0
SLOPE = 1.6
"""A wave's amplitude is its frequency to the power of minus this."""
COLOUR = 0.6
"""Strength of a field's colours as a share of its greys: the channels of photographs are correlated."""
MOVE = 4
"""Largest shift each way, in pixels; what leaves on one side re-enters on the other."""
SEED = 2015
SIZE = 32
TRAIN_IMAGES, TEST_IMAGES = 20_000, 2_000
_CHUNK = 1_000


def generated() -> ImageData:
    """The same 22,000 images of 32 x 32 pixels at every call, 18,000 of them for training."""
    random = np.random.default_rng(SEED)
    common = _fields(len(CLASSES), random)[:, None]
    own = _fields(len(CLASSES) * KINDS, random).reshape(len(CLASSES), KINDS, SIZE, SIZE, 3)
    kinds = SHARED * common + np.sqrt(1 - SHARED**2) * own
    labels = random.integers(0, len(CLASSES), TRAIN_IMAGES + TEST_IMAGES).astype(np.int32)
    chunks = np.split(labels, range(_CHUNK, len(labels), _CHUNK))
    images = np.concatenate([_draw(chunk, kinds, random) for chunk in chunks])
    return image_data(
        name="generated patterns",
        source=f"resnet_keras.data.small.generated, seed {SEED}",
        train=(images[:TRAIN_IMAGES], labels[:TRAIN_IMAGES]),
        test=(images[TRAIN_IMAGES:], labels[TRAIN_IMAGES:]),
        num_classes=len(CLASSES),
        generated=True,
        class_names=CLASSES,
    )


def _draw(labels: np.ndarray, kinds: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Images (n, 32, 32, 3), uint8, of the classes in `labels`."""
    n = len(labels)
    kind = random.integers(0, KINDS, n)[:, None, None]
    down, right = random.integers(-MOVE, MOVE + 1, (2, n))[:, :, None]
    at = np.arange(SIZE)
    rows, columns = (at - down) % SIZE, (at - right) % SIZE
    image = CONTRAST * kinds[labels[:, None, None], kind, rows[:, :, None], columns[:, None, :]]
    image += OWN_CONTRAST * _fields(n, random)
    image += MEAN + random.normal(0, BRIGHTNESS, (n, 1, 1, 1)) + random.normal(0, NOISE, image.shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _fields(n: int, random: np.random.Generator) -> np.ndarray:
    """Random fields (n, 32, 32, 3) of mean 0 and standard deviation 1 that wrap around at their edges."""
    frequency = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE))
    frequency[0, 0] = np.inf
    white = random.standard_normal((n, 3, SIZE, SIZE), dtype=np.float32).astype(np.float64)
    field = np.moveaxis(np.fft.irfft2(np.fft.rfft2(white) * frequency**-SLOPE), 1, -1)
    grey = field.mean(axis=-1, keepdims=True)
    field = grey + COLOUR * (field - grey)
    return field / field.std(axis=(1, 2, 3), keepdims=True)

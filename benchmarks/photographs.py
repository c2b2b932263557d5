"""Photographs decoded and augmented per second (section 3.4): ours beside tf.data and a PyTorch DataLoader.

    python benchmarks/photographs.py --data-dir imagenette --image-size 224 --json photographs.json

All three read the same files, resize to a random shorter side, crop, mirror and shift the colour, and return uint8
batches; each uses every core. They take turns in one process, so that a busy machine slows all of them; the ratio is
that of the medians over the rounds. A loader that is not installed is left out.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from resnet_keras.data.photographs import batches as photographs
from resnet_keras.data.photographs.augmentation import EIGENVALUES, EIGENVECTORS
from resnet_keras.data.photographs.resizing import in_proportion
from resnet_keras.data.threads import available_cores
from resnet_keras.runs import storage
from resnet_keras.spec.augmentation import ScaledCrop

PAPER = ScaledCrop()
WARM_BATCHES = 4
"""Batches taken before the clock starts, to start processes and threads and fill the queues."""


def ours(data: photographs.Photographs, batch_size: int, cores: int) -> Iterator[np.ndarray]:
    """This project's loader: threads, in which Pillow resizes only what the crop needs."""
    stream = data.stream(batch_size, seed=0)
    try:
        for iteration in range(1 << 30):
            yield stream.batch(iteration)[0]
    finally:
        stream.close()


def tf_data(data: photographs.Photographs, batch_size: int, cores: int) -> Iterator[np.ndarray]:
    """tf.data: the whole image is resized, then cropped, with TensorFlow operations."""
    import tensorflow as tf

    size = data.image_size
    low, high = (in_proportion(side, size) for side in PAPER.shorter_side)
    vectors, values = tf.constant(EIGENVECTORS), tf.constant(EIGENVALUES)

    def load(path: Any) -> Any:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        shape = tf.cast(tf.shape(image)[:2], tf.float32)
        side = tf.cast(tf.random.uniform((), low, high + 1, tf.int32), tf.float32)
        sides = tf.cast(tf.round(shape * side / tf.reduce_min(shape)), tf.int32)
        image = tf.image.resize(image, sides, antialias=True)
        image = tf.image.random_flip_left_right(tf.image.random_crop(image, (size, size, 3)))
        shift = 255.0 * tf.linalg.matvec(vectors, values * tf.random.normal((3,), stddev=PAPER.colour))
        return tf.saturate_cast(tf.round(image + shift), tf.uint8)

    paths = [data.train.location(index) for index in range(len(data.train))]
    files = tf.data.Dataset.from_tensor_slices(paths).shuffle(len(paths)).repeat()
    options = tf.data.Options()
    options.threading.private_threadpool_size = cores
    batches = files.map(load, num_parallel_calls=cores).batch(batch_size).prefetch(2).with_options(options)
    yield from batches.as_numpy_iterator()


class PillowFiles:
    """A PyTorch data set as in most ports: Pillow resizes the whole image, then crops it."""

    def __init__(self, paths: list[str], size: int) -> None:
        self.paths, self.size = paths, size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> np.ndarray:
        size = self.size
        random = np.random.default_rng()
        image = Image.open(self.paths[index]).convert("RGB")
        low, high = (in_proportion(side, size) for side in PAPER.shorter_side)
        share = int(random.integers(low, high + 1)) / min(image.size)
        image = image.resize((max(size, round(image.width * share)), max(size, round(image.height * share))), 2)
        left, top = (int(random.integers(side - size + 1)) for side in image.size)
        pixels = np.asarray(image.crop((left, top, left + size, top + size)), np.float32)
        if random.random() < 0.5:
            pixels = pixels[:, ::-1]
        alpha = random.normal(0, PAPER.colour, 3)
        shift = 255 * (np.array(EIGENVECTORS) @ (np.array(EIGENVALUES) * alpha))
        return np.clip(np.rint(pixels + shift.astype(np.float32)), 0, 255).astype(np.uint8)


def torch_loader(data: photographs.Photographs, batch_size: int, cores: int) -> Iterator[np.ndarray]:
    """torch.utils.data.DataLoader with one process per core."""
    from torch.utils.data import DataLoader

    paths = [data.train.location(index) for index in range(len(data.train))]
    # Not "fork": TensorFlow's threads are in this process.
    loader = DataLoader(PillowFiles(paths, data.image_size), batch_size, shuffle=True, num_workers=cores,
                        drop_last=True, multiprocessing_context="spawn", persistent_workers=True)  # fmt: skip
    while True:
        for batch in loader:
            yield batch.numpy()


LOADERS: dict[str, tuple[str, Callable[..., Iterator[np.ndarray]]]] = {
    "ours": ("PIL", ours),
    "tf.data": ("tensorflow", tf_data),
    "torch DataLoader": ("torch", torch_loader),
}


def rate(loader: Callable[..., Iterator[np.ndarray]], data: Any, batch_size: int, batches: int, cores: int) -> float:
    """Images per second over `batches` batches, after a warm-up."""
    stream = loader(data, batch_size, cores)
    for _ in range(WARM_BATCHES):
        next(stream)
    start = time.perf_counter()
    for _ in range(batches):
        x = next(stream)
        assert x.shape == (batch_size, data.image_size, data.image_size, 3)
        assert x.dtype == np.uint8
    seconds = time.perf_counter() - start
    stream.close()  # type: ignore[attr-defined]
    return batches * batch_size / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data-dir", type=Path, required=True, metavar="FOLDER", help="train/<class>/*.jpg and val/<class>/*.jpg")
    add("--image-size", type=int, default=224, metavar="PIXELS", help="(default: 224)")
    add("--batch-size", type=int, default=128, metavar="N", help="(default: 128)")
    add("--batches", type=int, default=16, metavar="N", help="batches timed in each round (default: 16)")
    add("--rounds", type=int, default=3, metavar="N", help="(default: 3)")
    add("--json", type=Path, metavar="FILE", help="write the numbers to this file")
    options = parser.parse_args()
    cores = available_cores()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    data = photographs.load(options.data_dir, options.image_size, workers=cores)
    loaders = {name: loader for name, (package, loader) in LOADERS.items() if find_spec(package)}
    rates: dict[str, list[float]] = {name: [] for name in loaders}
    for number in range(options.rounds):
        for name, loader in loaders.items():
            rates[name].append(rate(loader, data, options.batch_size, options.batches, cores))
            print(f"round {number + 1}  {name:17}{rates[name][-1]:8.0f} images/s", flush=True)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(f"\n{data.description.name}, {options.image_size} pixels, {cores} cores, median of {options.rounds} rounds")
    for name, median in medians.items():
        ratio = medians["ours"] / median
        print(f"{name:17}{median:8.0f} images/s{median / cores:8.0f} per core   ours / this {ratio:.2f}")
    if options.json:
        said = {
            "data": data.description.to_dict(),
            "batch_size": options.batch_size,
            "batches": options.batches,
            "cores": cores,
            "processor": platform.processor() or platform.machine(),
            "images_per_second": rates,
            "median": medians,
            "median_per_core": {name: median / cores for name, median in medians.items()},
            "ours_over": {name: medians["ours"] / median for name, median in medians.items()},
        }
        storage.atomic_write(options.json, (json.dumps(said, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()

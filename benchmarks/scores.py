"""Photographs tested per second (section 3.4): `evaluation.score` beside a plain `predict` loop over the same views.

    KERAS_BACKEND=torch python benchmarks/scores.py --net resnet-50 --json scores.json
    KERAS_BACKEND=jax python benchmarks/scores.py --net resnet-18 --image-size 64 --images 32 --data-dir imagenette

`score` is what `recipes/evaluate.py` calls: it reads, decodes and crops photographs in threads while the net computes.
`predict` is Keras's `model.predict`, one call for each shape, on views already in memory: nothing is decoded. `views`
only decodes and crops, in as many threads, and `one after the other` is the sum of these two times. All take turns in
one process, so that a busy machine slows all of them; ratios are medians over the rounds. Where the net computes on the
cores that decode, `score` cannot reach `predict`: there it should be no slower than one after the other. The processor
time of all cores is measured too: other programs affect it less.

Without `--data-dir`, photographs of 500 x 375 pixels are generated, as large as ImageNet's are.
"""

import argparse
import json
import os
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import numpy as np
from PIL import Image
from rich.console import Console
from setting import Precision, Setting

from resnet_keras.data.photographs.sources import load_split
from resnet_keras.data.photographs.split import Split
from resnet_keras.data.threads import available_cores, in_order
from resnet_keras.programs.main import main
from resnet_keras.programs.options import OneLineParser, file_path
from resnet_keras.programs.start import start_backend
from resnet_keras.reports.console import plain_console, say
from resnet_keras.runs import storage

PROTOCOLS = ("10-crop", "multi-scale")
WIDTH, HEIGHT = 500, 375
COARSE, GRAIN = 12, 12.0
"""Patches across a generated photograph, and standard deviation of the noise on them: 90 kB, as ImageNet's have."""
RATIOS = (("score", "predict"), ("score", "one after the other"))


def made(folder: Path, images: int) -> Path:
    """Fills a folder with generated photographs: smooth patches of colour with grain."""
    random = np.random.default_rng(0)
    (folder / "val" / "patches").mkdir(parents=True)
    (folder / "val" / "others").mkdir()
    for number in range(images):
        patches = Image.fromarray(random.integers(0, 256, (COARSE, COARSE, 3), np.uint8))
        pixels = np.asarray(patches.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.float32)
        noisy = np.clip(pixels + random.normal(0, GRAIN, pixels.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / "val" / ("patches", "others")[number % 2] / f"{number}.jpg", quality=90)
    return folder


def contenders(setting: Setting, split: Split, name: str) -> dict[str, Callable[[], object]]:
    """The contenders; each goes once over all photographs."""
    import keras

    from resnet_keras.evaluation.classifier import Classifier
    from resnet_keras.evaluation.protocol import Protocol
    from resnet_keras.evaluation.score import batch_size, score
    from resnet_keras.nets.build import build

    precision = "mixed_bfloat16" if setting.precision == "bfloat16" else "float32"
    model = build(replace(setting.architecture, num_classes=split.num_classes), precision=precision)
    classifier, protocol = Classifier(setting.net, model, "", "raw"), Protocol(name)  # type: ignore[arg-type]
    cut = protocol.views(classifier.image_size)

    def shown() -> Iterator[list[np.ndarray]]:
        return in_order(lambda index: cut.of(split.photograph(index)[0]), range(len(split)), available_cores())

    by_shape: dict[tuple[int, ...], list[np.ndarray]] = {}
    for view in chain.from_iterable(shown()):
        by_shape.setdefault(view.shape, []).append(view)
    stacked = {shape: np.stack(several) for shape, several in by_shape.items()}
    net: keras.Model = classifier.fully_convolutional_model if name == "multi-scale" else model

    def predict() -> None:
        for shape, pixels in stacked.items():
            net.predict(pixels, batch_size=batch_size(shape), verbose=0)

    def views() -> None:
        for _ in shown():  # not kept, as `score` keeps only a few
            pass

    quiet = Console(quiet=True)
    return {
        "score": lambda: score(classifier, split, protocol, console=quiet),
        "predict": predict,
        "views": views,
    }


def measure(setting: Setting, split: Split, name: str) -> dict[str, Any]:
    """Photographs per second of each contender in every round, and ratios."""
    taking_turns = contenders(setting, split, name)
    for run in taking_turns.values():
        run()  # compiles
    rates: dict[str, list[float]] = {contender: [] for contender in (*taking_turns, "one after the other")}
    processor: dict[str, list[float]] = {contender: [] for contender in rates}
    for number in range(setting.rounds):
        for contender, run in taking_turns.items():
            begun, processor_begun = time.perf_counter(), time.process_time()
            run()
            rates[contender].append(len(split) / (time.perf_counter() - begun))
            processor[contender].append(len(split) / (time.process_time() - processor_begun))
        for every in (rates, processor):
            every["one after the other"].append(1 / (1 / every["predict"][-1] + 1 / every["views"][-1]))
        print(f"  {name} round {number + 1}: " + "  ".join(f"{one} {every[-1]:.3g}" for one, every in rates.items()),
              flush=True)  # fmt: skip
    return {
        "images_per_second": rates,
        "median": {one: statistics.median(every) for one, every in rates.items()},
        "median_ratio": median_ratios(rates),
        "images_per_processor_second": processor,
        "median_processor_ratio": median_ratios(processor),
    }


def median_ratios(rates: dict[str, list[float]]) -> dict[str, float]:
    """Medians of the ratios within each round."""
    return {
        f"{one} / {other}": statistics.median(a / b for a, b in zip(rates[one], rates[other], strict=True))
        for one, other in RATIOS
    }


def program(arguments: Sequence[str]) -> None:
    parser = OneLineParser(__doc__)
    add = parser.add_argument
    add("--net", default="resnet-50", metavar="NET", help="resnet-18, resnet-50, plain-34, ... (default: resnet-50)")
    add("--image-size", type=int, metavar="PIXELS", help="(default: the paper's, 224)")
    add("--precision", choices=get_args(Precision), default="float32", help="(default: float32)")
    add("--protocol", nargs="+", choices=PROTOCOLS, default=PROTOCOLS, help="(default: both)")
    add("--data-dir", type=file_path, metavar="PATH", help="folder with val/<class>/* (default: generated photographs)")
    add("--images", type=int, default=128, metavar="N", help="number of photographs (default: 128)")
    add("--rounds", type=int, default=5, metavar="N", help="(default: 5)")
    add("--json", type=file_path, metavar="FILE", help="append the numbers to the list in this file")
    options = parser.parse(arguments)
    console = plain_console()
    with TemporaryDirectory(prefix="benchmark-") as folder:
        measured = in_folder(options, options.data_dir or made(Path(folder), options.images), console)
    for one in measured:
        ratios = "  ".join(f"{name} {ratio:.2f}" for name, ratio in one["median_ratio"].items())
        speeds = "  ".join(f"{name} {rate:,.3g}" for name, rate in one["median"].items())
        processor = "  ".join(f"{ratio:.2f}" for ratio in one["median_processor_ratio"].values())
        say(console, f"{one['protocol']}: {speeds} photographs/s; {ratios}; ratios of processor time {processor}")
    if options.json:
        before = json.loads(options.json.read_text()) if options.json.exists() else []
        storage.atomic_write(options.json, (json.dumps([*before, *measured], indent=2) + "\n").encode())


def in_folder(options: argparse.Namespace, folder: Path, console: Console) -> list[dict[str, Any]]:
    """Each protocol's numbers, with what they were measured on."""
    split = load_split(folder, "val").limited(options.images)
    backend = start_backend(console)
    setting = Setting(backend, options.net, precision=options.precision, image_size=options.image_size,  # type: ignore[arg-type]
                      rounds=options.rounds)  # fmt: skip
    from resnet_keras.experiments import provenance
    from resnet_keras.nets.build import build

    here = provenance.describe(build(setting.architecture))
    about = {
        "backend": backend,
        "net": setting.net,
        "precision": setting.precision,
        "image_size": setting.architecture.image_size,
        "images": len(split),
        "made": options.data_dir is None,
        "command": shlex.join(["python", *sys.argv]),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "load": os.getloadavg()[0],
    } | {field: here[field] for field in ("versions", "device", "hardware", "commit")}
    return [about | {"protocol": name} | measure(setting, split, name) for name in options.protocol]


if __name__ == "__main__":
    main(program)

"""Measure what ten minutes on a GPU allow, most wanted first; what the time left is too short for is not started.

    python benchmarks/on_a_gpu.py --out results/performance/gpu
    python benchmarks/on_a_gpu.py --out short --short          the same commands with tiny nets, to try them anywhere

Each step is a command that is printed, then run in a process of its own; one that fails or takes too long is reported
and skipped. Then `python benchmarks/roofline.py --measured OUT/*.json` prints what was measured beside what the GPU
could do. Needs: pip install -e ".[tensorflow,jax,torch,bench,data]"; a backend that is not installed is skipped.
"""

import csv
import json
import os
import shlex
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import numpy as np
from setting import Backend

from resnet_keras.programs.main import main
from resnet_keras.programs.options import OneLineParser, file_path
from resnet_keras.runs import storage

HERE = Path(__file__).parent
RECIPE = HERE.parent / "recipes" / "cifar10.py"
SEEDS = 5
LEAST_LEFT = 5.0
"""Seconds; with less time left, nothing is started."""


@dataclass(frozen=True)
class Step:
    """A command to run.

    Attributes:
        name: name of its file.
        backend: the Keras backend.
        seconds: approximate time on a GPU; with less time left it is not started.
        command: the command line.
    """

    name: str
    backend: Backend
    seconds: float
    command: tuple[str, ...]


def steps(out: Path, noise: Path, *, short: bool) -> Iterator[Step]:
    """Yields the steps, most wanted first."""
    backends = [name for name in ("jax", "torch", "tensorflow") if find_spec(name)]

    def training(net: str, batch_size: int, backend: str, seconds: float, *precisions: str) -> Step:
        name = f"{net}-{backend}"
        net, batch_size, pixels = ("resnet-8", 4, 16) if short else (net, batch_size, None)
        size = () if pixels is None else ("--image-size", str(pixels))
        clock = ("--seconds", "0.1", "--rounds", "1") if short else ("--seconds", "1.5", "--rounds", "3")
        what = ("--net", net, "--batch-size", str(batch_size), "--precision", *precisions, *size)
        written = ("--json", str(out / f"{name}.json"))
        command = _python(HERE / "training.py", *what, *clock, "--beside", "native loop", *written)
        return Step(name, backend, seconds, command)  # type: ignore[arg-type]

    for backend in backends:
        yield training("resnet-20", 128, backend, 50, "float32", "bfloat16")
    for backend in backends:
        yield training("resnet-50", 128, backend, 60, "bfloat16")
    if "jax" in backends:
        updates = "4" if short else "4000"
        small = ("--depth", "8", "--batch-size", "4") if short else ("--depth", "20")
        for name, seeds in (("one", ("--seed", "0")), ("several", ("--seeds", f"0-{SEEDS - 1}"))):
            folder = out / "seeds" / (name if name == "several" else "one/ResNet-seed0")
            command = _python(RECIPE, *small, *seeds, "--iterations", updates, "--data-dir", str(noise), "--out",
                              str(folder), "--fresh")  # fmt: skip
            yield Step(f"seeds-{name}", "jax", 45, command)
    for backend in backends:
        yield training("resnet-110", 128, backend, 90, "bfloat16")
    for backend in backends:
        net = ("--net", "resnet-18", "--image-size", "32", "--images", "4", "--rounds", "1") if short else ()
        command = _python(HERE / "scores.py", *net, "--json", str(out / f"scores-{backend}.json"))
        yield Step(f"scores-{backend}", backend, 60, command)  # type: ignore[arg-type]


def _python(program: Path, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, str(program), *arguments)


def made_noise(path: Path, images: int) -> Path:
    """Writes an .npz of random images in place of CIFAR-10 to train on: speed does not depend on what they show."""
    random = np.random.default_rng(0)
    parts = {}
    for part, count in (("train", images), ("test", images // 5)):
        parts[f"x_{part}"] = random.integers(0, 256, (count, 32, 32, 3), np.uint8)
        parts[f"y_{part}"] = random.permutation(np.arange(count, dtype=np.int32) % 10)
    np.savez(path, **parts)
    return path


def seeds_table(out: Path) -> dict[str, float]:
    """Images per second of each run in `seeds/`: the median over its periods except the first, which compiles."""
    said = {}
    for path in sorted((out / "seeds").glob("**/metrics.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            rates = [float(row["images_per_second"]) for row in csv.DictReader(file)][1:]
        if rates:
            said[path.parent.relative_to(out / "seeds").as_posix()] = statistics.median(rates)
    return said


def program(arguments: Sequence[str]) -> None:
    parser = OneLineParser(__doc__)
    add = parser.add_argument
    add("--out", type=file_path, required=True, metavar="FOLDER", help="write the numbers to this folder")
    add("--minutes", type=float, default=10.0, metavar="M", help="total time in minutes (default: 10)")
    add("--backend", nargs="+", choices=get_args(Backend), default=get_args(Backend), help="(default: all)")
    add("--short", action="store_true", help="tiny nets and short times, to try out the commands")
    options = parser.parse(arguments)
    end = time.monotonic() + 60 * options.minutes
    options.out.mkdir(parents=True, exist_ok=True)
    taken: list[dict[str, object]] = []
    with TemporaryDirectory(prefix="benchmark-") as folder:
        noise = made_noise(Path(folder) / "noise.npz", 100 if options.short else 50_000)
        for step in steps(options.out, noise, short=options.short):
            if step.backend in options.backend:
                taken.append(run(step, end, options.out))
                content = {"steps": taken, "seeds_images_per_second": seeds_table(options.out)}
                storage.atomic_write(options.out / "session.json", (json.dumps(content, indent=2) + "\n").encode())
    print(f"next: python benchmarks/roofline.py --measured {options.out}/*.json")


def run(step: Step, end: float, out: Path) -> dict[str, object]:
    """Runs a step if there is time for it, and returns how it ended."""
    left = end - time.monotonic()
    said: dict[str, object] = {"name": step.name, "command": shlex.join(["python", *step.command[1:]])}
    if left < max(step.seconds, LEAST_LEFT):
        print(f"{step.name}: {left:.0f} s left, {step.seconds:.0f} s planned: not started", flush=True)
        return said | {"ended": "not begun"}
    print(f"{step.name}: KERAS_BACKEND={step.backend} {said['command']}", flush=True)
    begun = time.monotonic()
    with (
        (out / f"{step.name}.log").open("w") as log,
        subprocess.Popen(step.command, env=os.environ | {"KERAS_BACKEND": step.backend}, stdout=log,
                         stderr=subprocess.STDOUT, start_new_session=True) as process,
    ):  # fmt: skip
        try:
            code = process.wait(left)
            ended = "done" if code == 0 else f"exit code {code}"
        except BaseException as error:  # the processes it started hold the GPU
            os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            ended = "out of time"
    seconds = time.monotonic() - begun
    print(f"  {ended} after {seconds:.0f} s", flush=True)
    return said | {"ended": ended, "seconds": round(seconds, 1)}


if __name__ == "__main__":
    main(program)

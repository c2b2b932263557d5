"""Images trained per second, ours beside the backend's own framework, on the same net, batch, precision and data.

    KERAS_BACKEND=torch python benchmarks/training.py --net resnet-20 --json training.json
    python benchmarks/training.py --all --net resnet-20 resnet-56 --precision float32 bfloat16 --markdown training.md
    python benchmarks/training.py --all --net resnet-20 --start     time to the first update and peak memory instead

Every combination of the options is measured in a process of its own. In it all contenders take turns, round by round,
so that a busy machine slows all of them; a ratio is the median of the rounds' ratios. `train` is ours as its users run
it (order, augmentation, metrics, callbacks; validation is not timed) and `native loop` a hand-written one that gets the
same images from the same NumPy code (`train` crops them on the accelerator if there is one); `fit`, `keras step` and
`native step` see one batch over and over, to show what each layer of software adds. Images are random and in memory.
The JAX rows need: pip install -e ".[bench]".
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any, get_args

from setting import BESIDE, Backend, Name, Precision, Setting

from resnet_keras.programs.backend import choose_backend
from resnet_keras.programs.main import main
from resnet_keras.programs.options import OneLineParser, file_path
from resnet_keras.reports.tables import Table
from resnet_keras.runs import storage

HERE = Path(__file__).parent
PAIRS = (
    ("train", "native loop"),
    ("train", "own step"),
    ("keras step", "native step"),
    ("train", "fit"),
    ("fit", "keras step"),
    ("train", "compiled native loop"),
    ("train", "keras.applications fit"),
    ("fit", "keras.applications fit"),
)
"""Contenders whose ratios are reported."""
STARTERS = ("train", "native loop")
"""Contenders whose start is measured."""


def in_process(backend: Backend, program: str, *arguments: str) -> dict[str, Any]:
    """Runs a program of this folder and returns the JSON it prints, or {"error": ...}."""
    environment = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(HERE / program), *arguments]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:  # out of memory, say: the others are still measured
        return {"error": f"{program} ended with exit code {done.returncode}"}
    return json.loads(done.stdout)


def measure(setting: Setting, *, start: bool) -> dict[str, Any]:
    """Measures one setting; the results include what they were measured on."""
    print(setting.label, flush=True)
    when = {
        "setting": asdict(setting),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "command": shlex.join(["python", *sys.argv]),
    }
    if start:
        starts = {
            name: in_process(setting.backend, "startup.py", name, setting.to_json(), str(time.time()))
            for name in STARTERS
        }
        return when | {"start": starts}
    said = in_process(setting.backend, "rounds.py", setting.to_json())
    if "error" not in said:
        said |= summary(said["images_per_second"])
    return when | said


def summary(rates: dict[str, list[float]]) -> dict[str, Any]:
    """Medians of the rates, the ratios within each round, and their medians."""
    ratios = {
        f"{one} / {other}": [mine / its for mine, its in zip(rates[one], rates[other], strict=True)]
        for one, other in PAIRS
        if one in rates and other in rates
    }
    return {
        "median": {name: statistics.median(values) for name, values in rates.items()},
        "ratios": ratios,
        "median_ratio": {name: statistics.median(values) for name, values in ratios.items()},
    }


def table(results: Sequence[dict[str, Any]]) -> Table:
    """Speeds as median (min..max) in images per second, and ratios."""
    measured = [result for result in results if "median" in result]
    columns = list(dict.fromkeys(name for result in measured for name in result["median"]))
    ratios = list(dict.fromkeys(name for result in measured for name in result["median_ratio"]))

    def number(value: float) -> str:
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

    def speed(values: list[float] | None) -> str:
        return f"{number(statistics.median(values))} ({number(min(values))}..{number(max(values))})" if values else ""

    def ratio(value: float | None) -> str:
        return "" if value is None else f"{value:.2f}"

    return Table(
        ("net", "backend", "precision", "batch", "pixels", *columns, *ratios),
        tuple(
            (
                *_what(result),
                *(speed(result["images_per_second"].get(name)) for name in columns),
                *(ratio(result["median_ratio"].get(name)) for name in ratios),
            )
            for result in measured
        ),
    )


def start_table(results: Sequence[dict[str, Any]]) -> Table:
    """Seconds to the first update, and peak memory in MB; on a GPU, that of the arrays on it."""

    def cells(start: dict[str, Any]) -> tuple[str, str]:
        if "error" in start:
            return "", ""
        peak = start["device_peak_bytes"] or start["peak_bytes"]
        return f"{start['first_step_seconds']:.1f}", "" if peak is None else f"{peak / 1e6:,.0f}"

    head = [f"{name}, {unit}" for name in STARTERS for unit in ("s", "MB")]
    return Table(
        ("net", "backend", "precision", "batch", "pixels", *head),
        tuple((*_what(result), *(cell for name in STARTERS for cell in cells(result["start"][name])))
              for result in results),
    )  # fmt: skip


def _what(result: dict[str, Any]) -> tuple[str, ...]:
    setting = Setting(**result["setting"])
    size = setting.architecture.image_size
    return setting.net, setting.backend, setting.precision, str(setting.batch_size), str(size)


def machine_line(results: Sequence[dict[str, Any]]) -> str:
    """Line under a table: where and when it was measured."""
    for result in results:
        if "hardware" in result:
            hardware, versions = result["hardware"], result["versions"]
            listed = ", ".join(f"{package} {version}" for package, version in versions.items())
            return (
                f"{result['date']}, {hardware['processor']}, {hardware['cores']} cores, {result['device']}, "
                f"commit {result['commit']}; {listed}. Images per second, median (min..max) of "
                f"{len(result['images_per_second']['train'])} rounds.\n"
            )
    return f"{results[0]['date']}\n" if results else ""


def settings_from(options: argparse.Namespace) -> Iterator[Setting]:
    """Every combination of the options."""
    backends = [name for name in get_args(Backend) if find_spec(name)] if options.all else [choose_backend()]
    for net, backend, precision, batch_size in product(options.net, backends, options.precision, options.batch_size):
        applications: tuple[Name, ...] = ("keras.applications fit",) if net == "resnet-50" else ()
        beside = tuple(options.beside or BESIDE + applications)
        yield Setting(backend, net, batch_size, precision, options.image_size, options.seconds, options.rounds, beside)


def program(arguments: Sequence[str]) -> None:
    parser = OneLineParser(__doc__)
    add = parser.add_argument
    add("--net", nargs="+", default=["resnet-20"], metavar="NET", help="resnet-20, resnet-50, plain-110, ... "
        "(default: resnet-20)")  # fmt: skip
    add("--batch-size", nargs="+", type=int, default=[128], metavar="N", help="(default: 128)")
    add("--precision", nargs="+", choices=get_args(Precision), default=["float32"], help="(default: float32)")
    add("--image-size", type=int, metavar="PIXELS", help="(default: the paper's, 32 or 224)")
    add("--seconds", type=float, default=10.0, metavar="S", help="seconds per contender in each round (default: 10)")
    add("--rounds", type=int, default=5, metavar="N", help="(default: 5)")
    add("--beside", nargs="+", choices=get_args(Name)[1:], metavar="NAME", help=f"contenders measured beside train: "
        f"{', '.join(get_args(Name)[1:])} (default: {', '.join(BESIDE)})")  # fmt: skip
    add("--all", action="store_true", help="measure every installed backend, not only KERAS_BACKEND")
    add("--start", action="store_true", help="measure the time to the first update, and peak memory, instead")
    add("--json", type=file_path, metavar="FILE", help="write all numbers to this file")
    add("--markdown", type=file_path, metavar="FILE", help="write the table to this file")
    options = parser.parse(arguments)

    results: list[dict[str, Any]] = []
    for setting in list(settings_from(options)):
        results.append(measure(setting, start=options.start))
        if options.json:  # after each: a long session may end early
            storage.atomic_write(options.json, (json.dumps(results, indent=2) + "\n").encode())
    text = (start_table if options.start else table)(results).markdown() + f"\n{machine_line(results)}"
    print(f"\n{text}")
    if options.markdown:
        storage.atomic_write(options.markdown, text.encode())


if __name__ == "__main__":
    main(program)

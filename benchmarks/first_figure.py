"""Time the main job from scratch: a new virtual environment, the install, and the first command of the README.

    python benchmarks/first_figure.py --json results/performance/first-figure.json
    python benchmarks/first_figure.py --backend torch --no-cache --data-dir cifar10 --iterations 80

Each backend runs in full before the next. `--no-cache` makes pip download everything; without it, what is in pip's
cache is not downloaded again. pip's own settings, like PIP_EXTRA_INDEX_URL, and `--constraint` select the build of
PyTorch (docs/install.md). There is no cache of decoded images, as for a new user, except one beside `--data-dir`.
"""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

from setting import Backend

from resnet_keras.errors import InputOutput
from resnet_keras.programs.main import main
from resnet_keras.programs.options import OneLineParser, file_path
from resnet_keras.reports.tables import Table
from resnet_keras.runs import storage

ROOT = Path(__file__).parents[1]
EXTRAS = "data,plot"
"""Installed with the backend, as in the README."""


def timed(command: Sequence[str], **environment: str) -> tuple[float, float]:
    """Runs a command; returns the seconds to its first line of output and to its end.

    Raises:
        OSError: the command failed.
    """
    print(f"  {shlex.join(command)}", flush=True)
    begun, first, last = time.perf_counter(), 0.0, ""
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True) as process:  # fmt: skip
        for line in process.stdout or ():
            first, last = first or time.perf_counter() - begun, line.strip() or last
    if process.returncode:
        raise InputOutput(
            f"Each command succeeds. Received: exit code {process.returncode} from {shlex.join(command)} ({last})."
        )
    return first, time.perf_counter() - begun


def measure(backend: Backend, pip: Sequence[str], recipe: Sequence[str]) -> dict[str, Any]:
    """Seconds that each part takes, and bytes installed."""
    print(backend, flush=True)
    with TemporaryDirectory(prefix="benchmark-") as made:
        folder = Path(made)
        _, environment = timed([sys.executable, "-m", "venv", str(folder / "venv")])
        python = str(folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python")
        _, install = timed([python, "-m", "pip", "install", *pip, "-e", f".[{backend},{EXTRAS}]"])
        new = {"KERAS_BACKEND": backend, "KERAS_HOME": str(folder / "keras"), "XDG_CACHE_HOME": str(folder / "cache")}
        command = [python, "recipes/degradation.py", "--out", str(folder / "out"), *recipe]
        first_line, figure = timed(command, **new)
        size = sum(path.lstat().st_size for path in (folder / "venv").rglob("*") if path.is_file())
        if not (folder / "out" / "degradation.png").is_file():
            raise InputOutput(f"The first command draws a figure. Received: none from {shlex.join(command)}.")
        run = json.loads(next((folder / "out").glob("*/run.json")).read_bytes())
    return {
        "backend": backend,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "command": shlex.join(["python", *sys.argv]),
        **{field: run[field] for field in ("commit", "versions", "hardware")},
        "data": run["data"]["name"],
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "seconds": {
            "environment": environment,
            "install": install,
            "first line": first_line,
            "figure": figure,
            "in all": environment + install + figure,
        },
        "installed_bytes": size,
    }


def program(arguments: Sequence[str]) -> None:
    parser = OneLineParser(__doc__, computes=False)
    add = parser.add_argument
    add("--backend", nargs="+", choices=get_args(Backend), default=get_args(Backend), help="(default: all)")
    add("--no-cache", action="store_true", help="make pip download everything")
    add(
        "--constraint",
        type=file_path,
        metavar="FILE",
        help="constraints file for pip, such as constraints-cpu.txt (default: none)",
    )
    add(
        "--data-dir",
        type=file_path,
        metavar="PATH",
        help="--data-dir of the recipe (default: what it finds, as in the README)",
    )
    add("--iterations", type=int, metavar="N", help="--iterations of the recipe (default: its own)")
    add("--json", type=file_path, metavar="FILE", help="write the numbers to this file")
    options = parser.parse(arguments)
    pip = ["--quiet", *(["--no-cache-dir"] if options.no_cache else [])]
    pip += [] if options.constraint is None else ["--constraint", str(options.constraint.absolute())]
    recipe = [] if options.data_dir is None else ["--data-dir", str(options.data_dir.absolute())]
    recipe += [] if options.iterations is None else ["--iterations", str(options.iterations)]
    measured: list[dict[str, Any]] = []
    for backend in options.backend:
        measured.append(measure(backend, pip, recipe))
        if options.json:
            storage.atomic_write(options.json, (json.dumps(measured, indent=2) + "\n").encode())
    parts = tuple(measured[0]["seconds"])
    rows = tuple(
        (one["backend"], *(f"{one['seconds'][part]:.1f}" for part in parts), f"{one['installed_bytes'] / 1e9:.2f}")
        for one in measured
    )
    print("\n" + Table(("backend", *(f"{part}, s" for part in parts), "installed, GB"), rows).markdown())


if __name__ == "__main__":
    main(program)

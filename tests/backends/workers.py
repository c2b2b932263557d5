"""Runs that one, two or more processes compute together: `python -m backends.workers FOLDER CASE ...`.

A process that has imported Keras but computed nothing yet forks one for each rank, so that the seconds of importing
are spent once. Each case prints one line of JSON: its exit codes by rank, and seconds.
"""

import json
import os
import shutil
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
from conftest import small_arrays
from rich.console import Console

from resnet_keras.backends import distribution
from resnet_keras.backends.distributed import engine
from resnet_keras.backends.distributed.launching import free_ports, variables_of
from resnet_keras.data.small.images import image_data
from resnet_keras.experiments.run import run
from resnet_keras.spec.architecture import Architecture, Stage, Stem
from resnet_keras.spec.augmentation import PaddedCrop
from resnet_keras.spec.distribution import launched
from resnet_keras.spec.recipe import Recipe
from resnet_keras.spec.schedules import Steps
from resnet_keras.training import loop

BACKEND = keras.backend.backend()
NET = Architecture(Stem(4, 3, 1, False), (Stage(4, 1, 1), Stage(4, 1, 2)), "basic", "A", 3, 4, "1x1", "channel")
RECIPE = Recipe(
    iterations=20, schedule=Steps((10,)), batch_size=12, learning_rate=0.02, augmentation=PaddedCrop(1),
    evaluate_every=10,
)  # fmt: skip
RAISED = 99
PATIENCE_S = 300.0
NOTHING: Mapping[str, Any] = MappingProxyType({})


def data():
    """60 images, 6 of them held out, and 29 to test on, which two processes cannot share equally."""
    arrays = small_arrays(60, size=4)
    return image_data(
        name="small",
        source="tests",
        train=(arrays["x_train"], arrays["y_train"]),
        test=(arrays["x_test"][:29], arrays["y_test"][:29]),
    )


def variables(rank: int, free: list[int]) -> dict[str, str]:
    """What a launcher sets."""
    if BACKEND == "torch":
        return {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(len(free)),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(free[0]),
        }
    return variables_of(BACKEND, rank, free)


def fork(name: str, rank: int, environment: dict[str, str], work: Callable[[int], object], **asked: Any) -> int:
    sys.stdout.flush()
    if pid := os.fork():
        return pid
    code = RAISED
    try:
        os.environ.update(environment)
        distribution.start(launched(BACKEND, os.environ), **asked)
        work(rank)
        code = 0
    except BaseException as error:
        code = getattr(error, "exit_code", getattr(error, "code", RAISED))
        print(f"{name}, rank {rank}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        if code == RAISED:
            traceback.print_exc()
    finally:
        if code == 0:
            distribution.current().part()
        sys.stderr.flush()
        os._exit(code)


def together(
    name: str,
    work: Callable[[int], object],
    processes: int = 2,
    free: list[int] | None = None,
    *,
    ranks: range | None = None,
    asked: Mapping[str, Any] = NOTHING,
    **environment: str,
) -> dict:
    """Exit codes and seconds of work in so many processes, or in some of them; `asked` goes to `distribution.start`."""
    free, begun = free or free_ports(processes), time.monotonic()
    ranks = ranks or range(processes)
    pids = {
        rank: fork(name, rank, environment | (variables(rank, free) if processes > 1 else {}), work, **asked)
        for rank in ranks
    }
    codes: dict[int, int] = {}
    while len(codes) < len(pids) and time.monotonic() - begun < PATIENCE_S:
        for rank, pid in pids.items():
            if rank not in codes:
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    codes[rank] = os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    for rank in pids.keys() - codes.keys():
        os.kill(pids[rank], signal.SIGKILL)
        codes[rank] = -os.waitpid(pids[rank], 0)[1]
    return {"codes": [codes[rank] for rank in ranks], "seconds": round(time.monotonic() - begun, 1)}


def train(out: Path, recipe: Recipe = RECIPE, *, at: int = 0, signum: int = 0, to: int = 1) -> Callable[[int], object]:
    """A run; with `signum`, the process of rank `to` sends itself that signal after `at` updates."""

    def work(rank: int) -> None:
        real, made = loop.Watch.on_train_batch_end, []

        def counted(watch, batch, logs=None):
            made.append(batch)
            if rank == to and len(made) == at:
                signal.raise_signal(signum)
            return real(watch, batch, logs)

        loop.Watch.on_train_batch_end = counted
        with out.with_suffix(".txt").open("a", encoding="utf-8") as said:
            run(NET, recipe, data(), seed=3, out=out, console=Console(file=said))

    return work


def cases(folder: Path) -> dict[str, Callable[[], dict]]:
    """The cases by name; one that follows another continues its run."""

    def copied(start: str, name: str) -> Path:
        shutil.copytree(folder / start, folder / name)
        return folder / name

    def impatient(name: str, rank: int, free: list[int] | None = None) -> dict:
        engine.START_SECONDS = 3  # read where a child imports its engine
        return together(name, train(folder / name), 2, free, ranks=range(rank, rank + 1))

    def devices(name: str, asked: Mapping[str, Any]) -> dict:
        xla = "--xla_force_host_platform_device_count=2"  # JAX's way of trying this on a CPU
        return together(name, train(folder / name), 1, asked=asked, XLA_FLAGS=xla)

    def taken() -> dict:
        with socket.create_server(("0.0.0.0", 0)) as server:
            return impatient("taken", 0, [server.getsockname()[1], 0])

    return {
        "one": lambda: together("one", train(folder / "one"), 1),
        "one in two parts": lambda: together("parts", train(folder / "parts", replace(RECIPE, accumulate=2)), 1),
        "two devices": lambda: devices("devices", {"devices": 2}),
        "two devices, synchronised": lambda: devices("devices-synchronised", {"devices": 2, "synchronized": True}),
        "two": lambda: together("two", train(folder / "two")),
        "two, synchronised": lambda: together(
            "synchronised", train(folder / "two-synchronised"), asked={"synchronized": True}
        ),
        "one, stopped": lambda: together("begun", train(folder / "begun", at=14, signum=signal.SIGTERM, to=0), 1),
        "one, then two": lambda: together("one, then two", train(copied("begun", "one-then-two"))),
        "two, stopped": lambda: together("stop", train(folder / "stop", at=14, signum=signal.SIGTERM)),
        "then one": lambda: together("then one", train(copied("stop", "then-one")), 1),
        "then two": lambda: together("then two", train(copied("stop", "then-two"))),
        "killed": lambda: together("killed", train(folder / "killed", at=14, signum=signal.SIGKILL)),
        "after the kill": lambda: together("after", train(folder / "killed")),
        "alone": lambda: impatient("alone", 1),
        "taken": taken,
    }


def main() -> None:
    folder = Path(sys.argv[1])
    for name, case in cases(folder).items():
        if name in sys.argv[2:]:
            print(json.dumps({"case": name, **case()}), flush=True)


if __name__ == "__main__":
    main()

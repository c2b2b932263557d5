"""Kills a short run over and over at random moments, and compares how it ends with a run that was left alone.

python -m faults.kills FOLDER --kills 100 --seed 0 [--seconds 1800]

About half of the kills come after a random time, the rest at a random one of the calls that write the run's files.
"""

import argparse
import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import keras  # noqa: F401  # imported once, for all trials
import numpy as np

from faults.processes import arm, calls, fork, wait
from resnet_keras import Recipe, cifar10
from resnet_keras.data.small.images import image_data
from resnet_keras.experiments.run import run
from resnet_keras.runs import checkpoints, reading
from resnet_keras.spec.augmentation import PaddedCrop
from resnet_keras.spec.records import TIMES
from resnet_keras.spec.schedules import Steps, Warmup
from resnet_keras.weights import archive

NET = cifar10(8, num_classes=3, image_size=8)
RECIPE = Recipe(
    iterations=12,
    schedule=Steps((6,)),
    batch_size=6,
    learning_rate=0.02,
    augmentation=PaddedCrop(1),
    evaluate_every=2,
    warmup=Warmup(0.001, 100),
)
SEED = 3


def data():
    random = np.random.default_rng(0)
    x, y = random.integers(0, 256, (40, 8, 8, 3)).astype(np.uint8), np.arange(40) % 3
    return image_data(name="noise", source="tests", train=(x, y), test=(x[:10], y[:10]))


DATA = data()


def train(folder: Path) -> None:
    run(NET, RECIPE, DATA, seed=SEED, out=folder)


def outcome(folder: Path) -> tuple:
    """What must not depend on kills: rows without times, results, weights and the optimizer's state."""
    done = reading.read(folder)
    assert done.results is not None
    assert done.damaged_model() is None
    checkpoint, damaged = checkpoints.newest(folder)
    assert not damaged
    arrays = {name: array.tobytes() for name, array in checkpoint.state.arrays.items()}
    rows = [row._replace(**dict.fromkeys(TIMES, 0.0)) for row in done.rows]
    return rows, done.results, arrays, bytes(archive.read(folder / reading.MODEL).weights)


def leftovers(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.name.startswith(("new-", "old-"))]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after these, whatever --kills says")
    options = parser.parse_args()
    choose = random.Random(options.seed)
    options.folder.mkdir(parents=True, exist_ok=True)
    folder, log, count = options.folder / "run", options.folder / "log", options.folder / "count"

    def straight() -> None:
        arm(folder, 0)
        train(folder)
        count.write_text(str(calls()))

    begun = time.monotonic()
    assert wait(fork(straight, log)) == 0, log.read_text()
    length, writes = time.monotonic() - begun, int(count.read_text())
    expected = outcome(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    shutil.rmtree(folder)

    report = dict.fromkeys(("kills", "in_a_save", "finished", "unloadable", "diverged", "failed", "leftovers"), 0)
    report |= {"largest_growth": 0.0, "writes": writes}
    end = time.monotonic() + options.seconds
    while report["kills"] < options.kills and time.monotonic() < end:
        at = choose.randint(1, writes) if choose.random() < 0.5 else 0
        after = choose.uniform(0.2, 1.0) * length

        def trial(at: int = at) -> None:
            arm(folder, at)
            train(folder)

        log.unlink(missing_ok=True)
        pid = fork(trial, log)
        if not at:
            until = time.monotonic() + after
            while time.monotonic() < until and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                time.sleep(0.005)
            os.kill(pid, signal.SIGKILL)
        code = wait(pid)
        if code == -signal.SIGKILL:
            report["kills"] += 1
            report["in_a_save"] += bool(at or (folder.exists() and leftovers(folder)))
            # A killed run leaves only whole checkpoints, and files that can be read.
            damaged = checkpoints.newest(folder)[1] if folder.exists() else []
            if (folder / reading.RUN).exists():
                reading.read(folder)
            report["unloadable"] += bool(damaged)
        elif code == 0:
            report["finished"] += 1
            report["diverged"] += outcome(folder) != expected
            report["leftovers"] += bool(leftovers(folder))
            grown = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / size
            report["largest_growth"] = max(report["largest_growth"], round(grown, 3))
            shutil.rmtree(folder)
        else:
            report["failed"] += 1
            report["last_failure"] = log.read_text()[-500:]
    # The last run, to its end.
    code = wait(fork(lambda: train(folder), log))
    report["finished"] += code == 0
    report["diverged"] += code != 0 or outcome(folder) != expected
    print(json.dumps(report))


if __name__ == "__main__":
    main()

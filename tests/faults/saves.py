"""One save, killed or made to fail at each of its file calls: python -m faults.saves FOLDER kill|ENOSPC|EIO|EFBIG|EROFS

The save is the one at the end of a run's last period: a checkpoint, its row, the model and the results.
"""

import errno
import json
import shutil
import signal
import sys
from pathlib import Path

import numpy as np

from faults.processes import FAILED, arm, calls, fork, wait
from resnet_keras import Recipe
from resnet_keras.runs import checkpoints, reading
from resnet_keras.runs.checkpoints import State
from resnet_keras.runs.lookup import ResumePoint
from resnet_keras.runs.writing import RunFolder
from resnet_keras.spec.records import Results, Row
from resnet_keras.spec.schedules import Steps

RECIPE = Recipe(iterations=300, schedule=Steps((150,)), evaluate_every=100)
SETTINGS = {"architecture": {"name": "plain-8"}, "recipe": RECIPE.to_dict(), "data": {}, "seed": 0}
ROWS = [Row(100 * k, 0.1, 50.0 / k, 50.0, 1.25, 1.5, 321.9, 12.5 * k) for k in (1, 2, 3)]


def state(count: int) -> State:
    arrays = {f"weights/{name}": np.full((300, 50), count, np.float32) for name in "ab"}
    return State(100 * count, tuple(ROWS[:count]), arrays)


def save(folder: Path, last: int) -> None:
    """Saves what the folder lacks up to period `last`: checkpoints and rows, then the model and the results."""
    checkpoint, _ = checkpoints.newest(folder)
    run = RunFolder(
        folder, SETTINGS, ResumePoint(RECIPE, checkpoint=checkpoint, settings=reading.json_roundtrip(SETTINGS))
    )
    for count in range(len(run.state.rows) + 1 if run.state else 1, last + 1):
        run.save_state(state(count))
        run.record(ROWS[count - 1])
    run.save_model(lambda path: path.write_bytes(bytes([last]) * 100_000))
    run.finish(Results(1.0, 2.0, 3.0))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def contents(found: dict[str, bytes]) -> dict[str, bytes]:
    """The files whose contents do not depend on when they were written, and the names of the others."""
    return {name: b"" if name.endswith((".json", ".sha256")) else data for name, data in found.items()}


def main() -> None:
    folder, what = Path(sys.argv[1]) / "run", sys.argv[2]
    error = 0 if what == "kill" else getattr(errno, what)
    log = folder.parent / "log"
    assert wait(fork(lambda: save(folder, 2), log)) == 0, log.read_text()
    good = folder.parent / "good"
    folder.rename(good)
    before = files(good)

    def counted() -> None:
        arm(folder, 0)
        save(folder, 3)
        (folder.parent / "count").write_text(str(calls()))

    shutil.copytree(good, folder)
    assert wait(fork(counted, log)) == 0, log.read_text()
    total = int((folder.parent / "count").read_text())
    after = files(folder)

    wrong = ("lost", "changed", "incomplete", "more_than_one_line", "other_exit", "not_redone")
    report = {"calls": total, "ended": 0} | dict.fromkeys(wrong, 0)
    for call in range(1, total + 1):
        shutil.rmtree(folder)
        shutil.copytree(good, folder)
        log.unlink(missing_ok=True)

        def trial(call: int = call) -> None:
            arm(folder, call, error)
            save(folder, 3)

        code = wait(fork(trial, log))
        now = files(folder)
        checkpoint, damaged = checkpoints.newest(folder)
        report["ended"] += code == (-signal.SIGKILL if not error else FAILED)
        report["lost"] += checkpoint is None or bool(damaged) or checkpoint.state.iteration < 200
        # The model is the earlier or the later one, to the byte; so are the arrays of each checkpoint that is there.
        report["changed"] += now.get(reading.MODEL) not in (before[reading.MODEL], after[reading.MODEL])
        report["changed"] += checkpoint is not None and any(
            data not in (before.get(name), after.get(name))
            for name, data in now.items()
            if name.startswith(f"{checkpoints.FOLDER}/{checkpoints.PREFIX}") and name.endswith(checkpoints.ARRAYS)
        )
        # Some calls may fail without harm, as in removing an old checkpoint: then the whole save is there.
        report["incomplete"] += code == 0 and not contents(after).items() <= contents(now).items()
        if error and code:
            report["other_exit"] += code != FAILED
            report["more_than_one_line"] += len(log.read_text().strip().splitlines()) != 1
        assert wait(fork(lambda: save(folder, 3), log)) == 0, log.read_text()
        again = files(folder)
        report["not_redone"] += contents(again) != contents(after)
    print(json.dumps(report))


if __name__ == "__main__":
    main()

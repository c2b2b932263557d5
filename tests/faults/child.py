"""Opens files in a process of its own and reports what came of each, what it cost and what it touched.

    python -m faults.child files FOLDER                     every model.keras in a folder of folders
    python -m faults.child mutations FOLDER FIRST LAST      mutations from FIRST up to, not including, LAST

FOLDER holds `good.keras`. Prints a line of JSON per file, that one first, and at the end one with the growth in memory.
"""

import gc
import json
import os
import random
import resource
import sys
import time
import warnings
from pathlib import Path

import keras
import numpy as np
from model_files import unpack

import resnet_keras
from faults import mutations
from faults.hostile import Good

WATCHED = ("open", "import", "exec", "compile", "os.", "shutil.", "subprocess.", "socket.", "ctypes.", "pickle.")
WATCHED += (
    "marshal.",
    "tempfile.",
    "glob.",
    "urllib.",
    "mmap.",
    "fcntl.",
    "signal.",
    "code.__new__",
    "pty.",
    "ftplib.",
)
STATUS = Path("/proc/self/status")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

allowed: set[str] = set()
touched: list[str] = []
watching = False


def hook(event, arguments):
    if not watching or not event.startswith(WATCHED):
        return
    if event == "open":
        path, _, flags = arguments
        if isinstance(path, int) or (str(path) in allowed and not flags & WRITING):
            return
    touched.append(f"{event} {arguments!r}"[:200])


def check_hook():
    """Checks that the hook sees events: one that saw nothing would find everything in order."""
    global watching
    watching = True
    with Path(os.devnull).open():
        list(Path("/").iterdir())
    watching = False
    assert {text.split()[0] for text in touched} >= {"open", "os.listdir"}, touched


def state():
    config = keras.config
    return (
        *(config.floatx(), config.epsilon(), config.image_data_format(), config.dtype_policy().name),
        *(sys.getrecursionlimit(), hash(random.getstate()), hash(np.random.get_state()[1].tobytes())),
        *(len(keras.saving.get_custom_objects()), len(sys.modules), Path.cwd(), len(warnings.filters)),
        hash(tuple(sorted(os.environ.items()))),
    )


def memory_mb(peak):
    """The process's memory now, or its peak since `forget_peak`; without /proc, its peak so far in either case."""
    if not STATUS.exists():
        peak_rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak_rss / (2**20 if sys.platform == "darwin" else 1024)  # macOS counts bytes, others kB
    field = "VmHWM:" if peak else "VmRSS:"
    return next(int(line.split()[1]) for line in STATUS.read_text().splitlines() if line.startswith(field)) / 1024


def forget_peak():
    if STATUS.exists():
        STATUS.with_name("clear_refs").write_text("5")


def opened(path):
    """The report on one file, and the net if it opened."""
    global watching
    allowed.clear()
    allowed.update({str(path), str(path.with_name("run.json"))})
    touched.clear()
    forget_peak()
    before, memory, begun, worked = state(), memory_mb(False), time.perf_counter(), time.process_time()
    model, kind, text = None, None, ""
    watching = True
    try:
        model = resnet_keras.load(path)
    except (ValueError, OSError) as error:
        kind, text = "refused", str(error)
    except BaseException as error:
        kind, text = "raised", f"{type(error).__name__}: {error}"
    finally:
        watching = False
    report = {
        "kind": kind or "opened",
        "text": text,
        "seconds": time.perf_counter() - begun,
        "processor_seconds": time.process_time() - worked,
        "peak_mb": memory_mb(True) - memory,
        "touched": list(touched),
        "changed": state() != before,
    }
    return report, model


def main():
    mode, folder, *span = sys.argv[1:]
    good_path = Path(folder) / "good.keras"
    good = Good(good_path.read_bytes(), unpack(good_path))
    expected = resnet_keras.load(good_path).get_weights()
    sys.addaudithook(hook)
    check_hook()
    report, _ = opened(good_path)  # the first load triggers the backend's late imports
    report, _ = opened(good_path)
    start = memory_mb(False)
    print(json.dumps(report | {"name": "good"}))

    def compared(report, model):
        if model is not None:
            same = all(np.array_equal(got, was) for got, was in zip(model.get_weights(), expected, strict=True))
            report["kind"] = "opened" if same else "other numbers"
        return report

    if mode == "files":
        for path in sorted(Path(folder).glob("*/")):
            print(json.dumps(compared(*opened(path / "model.keras")) | {"name": path.name}))
    else:
        path = Path(folder) / f"mutation-{span[0]}.keras"
        for number in range(*map(int, span)):
            what, data = mutations.mutated(good, number)
            path.write_bytes(data)
            print(json.dumps(compared(*opened(path)) | {"name": f"{number}: {what}"}))
        path.unlink()
    gc.collect()
    print(json.dumps({"growth_mb": memory_mb(False) - start}))


if __name__ == "__main__":
    main()

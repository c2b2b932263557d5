"""Seconds per update with one process and with several on this machine, and the share not spent computing.

KERAS_BACKEND=torch python benchmarks/processes.py --depth 20 --batch-size 128 --processes 2 --json processes.json

Three runs of `recipes/cifar10.py`: one process with the whole batch, one with the part that each of several has, both
on one process's share of the cores (where the system can restrict a process to them), and several with the whole batch.
What the last takes beyond the second is the exchange of gradients and the wait for the slowest. The result also gives
what `--estimate` expects for the link speed measured here.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from resnet_keras.backends.distributed.launching import launch
from resnet_keras.programs.backend import choose_backend
from resnet_keras.runs import reading
from resnet_keras.spec.distribution import launched
from resnet_keras.spec.paper_nets import cifar10

ROOT = Path(__file__).resolve().parents[1]
LINK_BYTES = 16 * 2**20
IMAGES = 1_000


def images(path: Path) -> None:
    """Writes random images of CIFAR-10's size, so that no data set is needed."""
    random = np.random.default_rng(0)
    x, y = random.integers(0, 256, (IMAGES, 32, 32, 3), np.uint8), (np.arange(IMAGES) % 10).astype(np.int32)
    np.savez(path, x_train=x, y_train=y, x_test=x[:100], y_test=y[:100])


def seconds(folder: Path, depth: int, batch: int, updates: int, processes: int, share: int) -> float:
    """Seconds per update but the first, from a run's row; one process has one of `share` parts of the cores."""
    out = folder / f"{batch}-{processes}"
    arguments = ["--depth", str(depth), "--batch-size", str(batch), "--iterations", str(updates), "--out", str(out)]
    command = [sys.executable, "recipes/cifar10.py", *arguments, "--data-dir", str(folder / "images.npz")]
    held = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    if held and processes == 1:
        os.sched_setaffinity(0, sorted(held)[: max(1, len(held) // share)])
    try:
        subprocess.run([*command, "--processes", str(processes)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    finally:
        if held:
            os.sched_setaffinity(0, held)
    return batch / reading.read(out).rows[-1].images_per_second


def link(out: Path) -> None:
    """In each process: bytes per second over a link as an array is summed; 2 (N - 1) / N of it passes each link."""
    from resnet_keras.backends import distribution

    engine = distribution.start(launched(choose_backend(), os.environ))
    array, best = np.ones(LINK_BYTES // 4, np.float32), float("inf")
    for _ in range(5):
        begun = time.perf_counter()
        engine.total(array)
        best = min(best, time.perf_counter() - begun)
    if engine.where.leads:
        count = engine.where.processes
        out.write_text(json.dumps(2 * (count - 1) / count * LINK_BYTES / best))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--link", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.link:
        link(options.link)
        return
    count, batch = options.processes, options.batch_size
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images(folder / "images.npz")
        launch(choose_backend(), count, [__file__, "--link", str(folder / "link.json")])
        from resnet_keras.experiments.estimate import exchange

        bytes_per_second = json.loads((folder / "link.json").read_text())
        whole, part, together = (
            seconds(folder, options.depth, size, options.updates, processes, count)
            for size, processes in ((batch, 1), (batch // count, 1), (batch, count))
        )
    expected = part + exchange(cifar10(options.depth).parameters, count, bytes_per_second)
    said = {
        "backend": choose_backend(),
        "depth": options.depth,
        "batch_size": batch,
        "processes": count,
        "load": os.getloadavg()[0],
        "link_bytes_per_second": bytes_per_second,
        "seconds": {"one": whole, "one, its part": part, "together": together, "expected together": expected},
        "not_computing": 1 - part / together,
    }
    print(json.dumps(said, indent=1))
    if options.json:
        options.json.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

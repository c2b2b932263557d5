"""Options and fixtures. One process tests one backend: KERAS_BACKEND=jax pytest."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from resnet_keras.data.small.images import ImageData, image_data
from resnet_keras.programs.backend import choose_backend

BACKEND = choose_backend()
# The same small nets are compiled over and over, in this process and in those that the tests start.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # workers share it, and so do the phases of test.sh
    JAX_CACHE = tempfile.TemporaryDirectory(prefix="jax-cache-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = JAX_CACHE.name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
# Compiling took half the time of JAX's tests, also in the programs that they start.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
ROOT = Path(__file__).parents[1]


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also the tests that take minutes")
    parser.addoption("--long", action="store_true", help="the tests of faults in their long form: hours")


def pytest_report_header():
    return f"keras backend: {BACKEND}"


def pytest_collection_modifyitems(config, items):
    folder = Path(os.environ.get("TFDS_DATA_DIR", Path.home() / "tensorflow_datasets"))
    here = any(folder.glob("cifar10/*/dataset_info.json"))
    for item in items:
        if "slow" in item.keywords and not config.getoption("--slow"):
            item.add_marker(pytest.mark.skip(reason="takes minutes: --slow"))
        if "real_data" in item.keywords and not here:
            item.add_marker(pytest.mark.skip(reason="needs CIFAR-10 in TFDS_DATA_DIR"))
        if "real_weights" in item.keywords and not (here and os.environ.get("WEIGHTS_DIR")):
            item.add_marker(pytest.mark.skip(reason="needs CIFAR-10 in TFDS_DATA_DIR and trained nets in WEIGHTS_DIR"))
        if "real_photographs" in item.keywords and not os.environ.get("IMAGENETTE_DIR"):
            item.add_marker(pytest.mark.skip(reason="needs a folder with train/ and val/ in IMAGENETTE_DIR"))


def small_arrays(images: int = 60, size: int = 8, classes: int = 3) -> dict[str, np.ndarray]:
    """Noise whose brightness gives the class away: a net can learn it at once."""
    random = np.random.default_rng(7)

    def part(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = (np.arange(count) % classes).astype(np.int32)
        noise = random.integers(0, 60, (count, size, size, 3))
        return (noise + 60 * labels[:, None, None, None]).astype(np.uint8), labels

    (x_train, y_train), (x_test, y_test) = part(images), part(images // 2)
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def small_data_() -> ImageData:
    arrays = small_arrays()
    return image_data(
        name="small",
        source="tests",
        train=(arrays["x_train"], arrays["y_train"]),
        test=(arrays["x_test"], arrays["y_test"]),
    )


@pytest.fixture
def small_data() -> ImageData:
    return small_data_()


@pytest.fixture
def small_npz(tmp_path: Path) -> Path:
    path = tmp_path / "small.npz"
    np.savez(path, **small_arrays())
    return path


AS_FOR_A_USER = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "0"}
"""Environment of a process that compiles with all optimisations, as a user's does."""


def run_python(
    *arguments: str, backend: str | None = None, timeout: float = 600, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs Python in the root of the checkout; `backend` is its KERAS_BACKEND, by default the one under test."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=ROOT,
        env=os.environ | {"KERAS_BACKEND": backend or BACKEND, "TF_CPP_MIN_LOG_LEVEL": "3"} | environment,
    )


def run_json(path: Path) -> dict:
    return json.loads((path / "run.json").read_text(encoding="utf-8"))

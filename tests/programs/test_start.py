"""How programs start: help that fits, a missing device, no noise, TensorFlow only where it is the backend."""

import platform
from importlib.util import find_spec

import pytest
from conftest import BACKEND, ROOT, run_python

from resnet_keras.programs.backend import BACKENDS

CIFAR10 = "recipes/cifar10.py"
RECIPES = sorted(path.name for path in (ROOT / "recipes").glob("*.py"))
WITHOUT_BACKEND = ("diagrams.py", "report.py", "tables.py", "watch.py")
ALL_HELP = """
import runpy, sys
from contextlib import suppress
for name in sys.argv[1:]:
    print("RECIPE", name)
    sys.argv = [name, "--help"]
    with suppress(SystemExit):
        runpy.run_path(f"recipes/{name}", run_name="__main__")
"""


@pytest.mark.any_backend
def test_help_fits_80_columns_and_names_the_choice_of_backend():
    done = run_python("-c", ALL_HELP, *RECIPES, COLUMNS="80", PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if len(line) > 80] == []
    _, *texts = done.stdout.split("RECIPE ")
    assert len(texts) == len(RECIPES)
    for text in texts:
        assert ("KERAS_BACKEND=" in text.rpartition("\n\n")[2]) == (not text.startswith(WITHOUT_BACKEND))


@pytest.mark.any_backend
def test_importing_the_package_imports_no_other():
    """Not even NumPy, Rich or importlib.metadata, which take longer to import than the package itself."""
    code = (
        "import sys; before = set(sys.modules); import resnet_keras; "
        "new = {name for name in set(sys.modules) - before if not name.startswith('resnet_keras')}; "
        "print(*sorted({name.partition('.')[0] for name in new} - sys.stdlib_module_names), "
        "*sorted(new & {'importlib.metadata', 'json', 'tempfile', 'subprocess', 'logging', 'urllib.request'}))"
    )
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    ("backend", "variable"), [("torch", "KERAS_TORCH_DEVICE"), ("jax", "JAX_PLATFORMS")], ids=["torch", "jax"]
)
def test_a_device_that_is_not_there_is_one_line(backend, variable, small_npz, tmp_path):
    if backend != BACKEND:
        pytest.skip("another backend's device")
    out = tmp_path / "run"
    arguments = ["--depth", "8", "--iterations", "1", "--data-dir", str(small_npz), "--out", str(out)]
    done = run_python(CIFAR10, *arguments, **{variable: "xpu" if backend == "torch" else "rocm"})
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert f"{variable}=" in done.stderr
    assert not (out / "run.json").exists()


def test_a_configuration_of_keras_that_holds_something_else_is_one_line(small_npz, tmp_path):
    (tmp_path / "keras.json").write_text("[]")
    arguments = ["--depth", "8", "--iterations", "1", "--data-dir", str(small_npz), "--out", str(tmp_path / "run")]
    done = run_python("recipes/cifar10.py", *arguments, KERAS_HOME=str(tmp_path))
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "keras.json" in line


def test_a_run_says_at_once_what_it_does_and_writes_nothing_else(small_npz, tmp_path):
    arguments = ["--depth", "8", "--iterations", "1", "--batch-size", "8", "--data-dir", str(small_npz)]
    code = (
        "import sys; sys.argv = sys.argv[1:]; sys.path.insert(0, 'recipes'); import cifar10, atexit; "
        "atexit.register(lambda: print('imported', *sorted({'tensorflow', 'jax', 'torch'} & set(sys.modules)))); "
        "cifar10.main(cifar10.program)"
    )
    # Keras imports Matplotlib, which refuses an unknown backend.
    done = run_python("-c", code, "cifar10.py", *arguments, "--out", str(tmp_path / "run"), MPLBACKEND="foo")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # nothing from CUDA, absl or oneDNN, on any backend
    first, second, *_, last = done.stdout.splitlines()
    assert first.startswith(f"reading {small_npz}")
    assert second.startswith(f"starting {BACKEND}")
    # Keras would import TensorFlow to save the net.
    assert ("tensorflow" in last.split()) == (BACKEND == "tensorflow")
    assert BACKENDS[BACKEND] in last.split()


@pytest.mark.skipif(find_spec("tensorflow") is None or BACKEND == "tensorflow", reason="for the others' saving")
def test_saving_and_copying_leave_keras_as_it_was(tmp_path):
    code = (
        "import sys; from resnet_keras import build, imagenet, save; from keras.src.utils import module_utils; "
        "from resnet_keras.analysis.nets import rewired; "
        "from resnet_keras.nets.fully_convolutional import fully_convolutional; "
        "net = build(imagenet(18, num_classes=3, image_size=32)); net.compile('sgd', 'mse'); "
        "save(net, sys.argv[1]); fully_convolutional(net); rewired(net); "
        "assert 'tensorflow' not in sys.modules; "
        "assert module_utils.tensorflow.available; assert 'tensorflow' in sys.modules"
    )
    done = run_python("-c", code, str(tmp_path / "model.keras"))
    assert done.returncode == 0, done.stderr


FAULTS = """
import resource, sys
import numpy as np
from resnet_keras.programs.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
for update in range(10):
    if update == 4:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    layers = [np.ones(2**17) for layer in range(20)]  # 1 MiB each
    del layers
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.any_backend
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is of glibc")
def test_arrays_take_the_memory_of_those_before_them():
    kept, given_back = (int(run_python("-c", FAULTS, what).stdout) for what in ("keep", "give back"))
    assert kept < 100
    assert given_back > 6 * 20 * 128  # at least half of the 256 pages of each

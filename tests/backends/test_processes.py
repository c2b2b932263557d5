"""Several real processes on this machine, over loopback: the same run as one makes, and what happens when one is lost.

`workers.py` runs each case once for this file.
"""

import json
import re
import sys
import time

import keras
import numpy as np
import pytest
from conftest import BACKEND, ROOT, run_json, run_python, small_arrays

from resnet_keras.runs import checkpoints, reading
from resnet_keras.spec.records import TIMES

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks")
CASES = {
    "torch": ("one", "one in two parts", "two, synchronised"),
    "jax": ("one", "two devices"),
    "tensorflow": ("one", "one in two parts", "two devices", "two devices, synchronised", "two, synchronised"),
}[BACKEND]
PROCESSES = (
    "two", "two, stopped", "then one", "then two", "one, stopped", "one, then two",
    "killed", "after the kill", "alone", "taken",
)  # fmt: skip


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The folder of the runs, the outcome of each case, and what was printed to stderr."""
    folder = tmp_path_factory.mktemp("processes")
    cases = CASES + PROCESSES
    done = run_python(
        "-m", "backends.workers", str(folder), *cases, PYTHONPATH=str(ROOT / "tests"), OMP_NUM_THREADS="1"
    )
    assert done.returncode == 0, done.stderr
    cases = {one.pop("case"): one for one in map(json.loads, re.findall(r"^{.*}$", done.stdout, re.M))}
    return folder, cases, done.stderr


def arrays(path):
    """Weights and momentum and, separately, the moving statistics."""
    state = checkpoints.newest(path)[0].state
    assert state.iteration == 20
    moving = {name for name in state.arrays if "moving_" in name}
    return {name: state.arrays[name] for name in state.arrays.keys() - moving}, {
        name: state.arrays[name] for name in moving
    }


def rows(path):
    return [row._replace(**dict.fromkeys(TIMES, 0.0)) for row in reading.read(path).rows]


@pytest.mark.parametrize("name", ["two", "two devices", "two, synchronised", "two devices, synchronised"])
def test_two_processes_or_devices_make_the_run_of_one(ran, name):
    """JAX normalises over the whole batch, and so do the others where asked; otherwise each part is normalised by
    itself, as when one process takes a batch in parts."""
    folder, cases, said = ran
    if name not in cases:
        pytest.skip("not on this backend")
    assert cases[name]["codes"] in ([0], [0, 0]), said
    synchronised = name.endswith("synchronised")
    made = folder / name.replace("two devices", "devices").replace(", ", "-")
    whole = BACKEND == "jax" or synchronised
    same = folder / ("one" if whole else "parts")
    (mine, moving), (other, theirs) = arrays(made), arrays(same)
    for name in mine.keys() - {"optimizer/iteration"}:  # Keras counts the parts of a batch
        np.testing.assert_allclose(mine[name], other[name], rtol=1e-4, atol=2e-6, err_msg=name)
    if whole:
        for name in moving:
            np.testing.assert_allclose(moving[name], theirs[name], rtol=1e-4, atol=2e-6, err_msg=name)
    for mine_row, other_row in zip(rows(made), rows(same), strict=True):
        assert mine_row.train_error == pytest.approx(other_row.train_error, abs=1e-3)
        assert mine_row.cross_entropy == pytest.approx(other_row.cross_entropy, abs=1e-4)


def test_a_run_that_stops_goes_on_with_as_many_or_fewer(ran):
    """One of two receives the signal; both stop after the same update."""
    folder, cases, said = ran
    assert cases["two, stopped"]["codes"] == [143, 143], said
    stops = re.findall(r"^stop, rank \d: Stopped: .* saved at iteration (\d+) in ", said, re.M)
    assert len(stops) == 2, said
    assert len(set(stops)) == 1, said
    assert cases["then two"]["codes"] == [0, 0], said
    assert cases["then one"]["codes"] == [0], said
    (straight, _), (again, _) = arrays(folder / "two"), arrays(folder / "then-two")
    for name in straight:
        np.testing.assert_array_equal(straight[name], again[name], err_msg=name)
    assert rows(folder / "then-one")[0] == rows(folder / "two")[0]
    assert len(rows(folder / "then-one")) == 2
    (went_on,) = run_json(folder / "then-one")["continued"]
    assert went_on["distribution"] is None
    assert run_json(folder / "then-two")["distribution"]["processes"] == 2
    assert not run_json(folder / "then-two")["continued"][0].keys() & {"distribution"}


def test_a_run_of_one_process_goes_on_with_two(ran):
    folder, cases, said = ran
    assert cases["one, stopped"]["codes"] == [143], said
    assert cases["one, then two"]["codes"] == [0, 0], said
    made = folder / "one-then-two"
    assert [row.iteration for row in rows(made)] == [10, 20]
    assert rows(made)[0] == rows(folder / "one")[0]
    (went_on,) = run_json(made)["continued"]
    assert went_on["iteration"] == 14
    assert went_on["distribution"]["processes"] == 2
    if BACKEND == "jax":  # JAX normalises over the whole batch in any number of processes
        (straight, _), (again, _) = arrays(folder / "one"), arrays(made)
        for name in straight:
            np.testing.assert_allclose(again[name], straight[name], rtol=1e-4, atol=2e-6, err_msg=name)


def test_a_run_of_which_one_process_is_killed_ends_and_loses_nothing(ran):
    folder, cases, said = ran
    survivor, killed = cases["killed"]["codes"]
    assert killed == -9
    assert survivor != 0
    assert cases["killed"]["seconds"] < 60
    assert cases["after the kill"]["codes"] == [0, 0], said
    (straight, _), (again, _) = arrays(folder / "two"), arrays(folder / "killed")
    for name in straight:
        np.testing.assert_array_equal(straight[name], again[name], err_msg=name)


def test_processes_that_do_not_come_are_one_line(ran):
    """The second of two without the first, and the first when its port is taken; here they wait for three seconds."""
    _, cases, said = ran
    for name, rank in (("alone", 1), ("taken", 0)):
        assert cases[name]["codes"] == [4], said
        assert cases[name]["seconds"] < 60
        (line,) = re.findall(rf"^{name}, rank {rank}: InputOutput: .*$", said, re.M)
        assert re.search("in use|All 2 processes join the coordinator", line)


def test_one_process_writes_and_speaks(ran):
    folder, _, _ = ran
    text = (folder / "two.txt").read_text(encoding="utf-8")
    assert text.count("over    ") == text.count("2 processes x 1 device, 6 of 12 images on each device") == 1
    assert text.count("iteration 20 of 20") == 1
    assert not list((folder / "two").glob("**/new-*"))


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A recipe that starts two processes itself, with each backend's real launcher."""
    folder = tmp_path_factory.mktemp("program")
    np.savez(folder / "small.npz", **small_arrays(60))
    arguments = ["--depth", "8", "--iterations", "2", "--data-dir", str(folder / "small.npz"), "--processes", "2"]
    return folder, ["recipes/cifar10.py", *arguments, "--out", str(folder / "run")]


def test_a_recipe_starts_its_processes_itself(program):
    folder, command = program
    done = run_python(*command, "--batch-size", "6", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("2 processes x 1 device, 3 of 6 images on each device") == 1
    assert done.stdout.count("load it: ") == 1
    assert reading.read(folder / "run").results is not None
    assert keras.models.load_model(folder / "run" / "model.keras").predict(np.zeros((1, 8, 8, 3)), verbose=0).shape


@pytest.mark.parametrize("variable", [None, "3"], ids=["here", "under a launcher"])
def test_a_batch_or_number_that_does_not_fit_is_one_line_at_once(program, variable):
    _, command = program
    said = {} if variable is None else launcher_variables(int(variable))
    done = run_python(*command, "--batch-size", "5", **said)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert ("Nearest: --batch-size 4 or 6" if variable is None else "sets the number of processes: 3") in done.stderr


def launcher_variables(processes):
    if BACKEND == "tensorflow":
        cluster = {"worker": [f"127.0.0.1:{port}" for port in range(1, processes + 1)]}
        return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 0}})}
    if BACKEND == "torch":
        return {"RANK": "0", "WORLD_SIZE": str(processes)}
    return {
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": "127.0.0.1:1",
        "KERAS_DISTRIBUTION_NUM_PROCESSES": str(processes),
        "KERAS_DISTRIBUTION_PROCESS_ID": "0",
    }


KILLED_ONCE = """
import json, os, signal, sys, time
from pathlib import Path
sys.path.insert(0, "recipes")
import cifar10
from resnet_keras.programs.main import main
from resnet_keras.training import loop

real, made = loop.Watch.on_train_batch_end, []

def counted(watch, batch, logs=None):
    made.append(batch)
    rank = os.environ.get("RANK", os.environ.get("KERAS_DISTRIBUTION_PROCESS_ID"))
    if "TF_CONFIG" in os.environ:
        rank = str(json.loads(os.environ["TF_CONFIG"])["task"]["index"])
    first = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"
    if len(made) == int(os.environ["KILL_AT"]) and rank == "1" and first:
        Path(__file__).with_suffix(".time").write_text(str(time.time()))
        os.kill(os.getpid(), signal.SIGKILL)
    return real(watch, batch, logs)

loop.Watch.on_train_batch_end = counted
main(cifar10.program)
"""


def test_a_program_names_the_rank_of_a_process_that_was_killed(program, tmp_path):
    _, (_, *options) = program
    script = tmp_path / "killed.py"
    script.write_text(KILLED_ONCE, encoding="utf-8")
    arguments = [*options, "--batch-size", "6", "--out", str(tmp_path / "run")]
    done = run_python(str(script), *arguments, OMP_NUM_THREADS="1", PYTHONPATH=str(ROOT), KILL_AT="2")
    assert time.time() - float(script.with_suffix(".time").read_text()) < 60
    assert done.returncode == 4
    assert "A run of 2 processes needs all of them. Received: rank 1, killed by SIGKILL." in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(BACKEND != "jax", reason="XLA's")
@pytest.mark.parametrize(
    ("kind", "text", "tells"),
    [
        ("JaxRuntimeError", "FAILED_PRECONDITION: Buffer Definition Event: Gloo all-reduce failed", True),
        ("JaxRuntimeError", "RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes.", False),
        ("ValueError", "UNKNOWN: Gloo all-reduce failed: Read error [127.0.0.1]:649: Connection reset by peer", True),
        ("ValueError", "Incompatible shapes for broadcasting: (2,) and (3,)", False),
    ],
)
def test_what_xla_raises_of_a_process_that_is_gone_is_told_from_other_errors(kind, text, tells):
    from jax.errors import JaxRuntimeError

    from resnet_keras.backends.distributed.on_jax import tells_of_loss

    assert tells_of_loss({"JaxRuntimeError": JaxRuntimeError, "ValueError": ValueError}[kind](text)) is tells


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "torch", reason="torchrun's")
def test_torchrun_brings_a_run_back_of_which_a_process_was_killed(program, tmp_path):
    """Killed after 60 of 100 updates, of which a checkpoint holds the first 50."""
    _, (_, *options) = program
    script = tmp_path / "killed_once.py"
    script.write_text(KILLED_ONCE, encoding="utf-8")
    at = options.index("--processes")
    arguments = [*options[:at], "--iterations", "100", "--batch-size", "6", "--out", str(tmp_path / "run")]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "1"]
    done = run_python(*launcher, str(script), *arguments, OMP_NUM_THREADS="1", PYTHONPATH=str(ROOT), KILL_AT="60")
    assert done.returncode == 0, done.stderr
    finished = reading.read(tmp_path / "run")
    assert [row.iteration for row in finished.rows] == [50, 75, 100]  # also where the rate is divided
    assert [one["iteration"] for one in finished.settings["continued"]] == [50]

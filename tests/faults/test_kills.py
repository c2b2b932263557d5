"""Killed runs, failing disks, flipped bits: nothing saved is lost, and the run ends as if nothing had happened.

The long form, `pytest tests/faults --long`, has 100 kills on the backend of the process, a soak of 30 minutes, and
1,000 bit flips in each file.
"""

import json
import os
import random
import shutil
from pathlib import Path

import pytest
from conftest import BACKEND, ROOT, run_python, small_data_

from faults.processes import compiler, preloaded
from resnet_keras import Recipe, cifar10, run
from resnet_keras.experiments import run as experiment
from resnet_keras.runs import checkpoints
from resnet_keras.spec.augmentation import PaddedCrop
from resnet_keras.spec.schedules import Steps

needs_compiler = pytest.mark.skipif(compiler() is None, reason="file calls are counted on Linux, with a C compiler")
FLIPS, TRUNCATIONS = (40, 1_000), 20
KILLS, SOAK_SECONDS = (6, 100), 1_800
NET = cifar10(8, num_classes=3, image_size=8)
RECIPE = Recipe(
    iterations=4,
    schedule=Steps((2,)),
    batch_size=6,
    learning_rate=0.02,
    augmentation=PaddedCrop(1),
    evaluate_every=2,
)


def program(*arguments, timeout=600):
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = run_python("-m", *map(str, arguments), timeout=timeout, PYTHONPATH=path, **preloaded())
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def check_kills(report, figure, what):
    figure(f"{what} on {BACKEND}: went on and ended with the same bits", report["kills"], report["kills"])
    figure(f"{what} on {BACKEND}: of which inside a save", report["in_a_save"], report["kills"])
    for wrong in ("unloadable", "diverged", "failed", "leftovers"):
        assert report[wrong] == 0, report
    assert report["finished"] > 0
    assert report["largest_growth"] < 1.01, report


@needs_compiler
def test_a_run_killed_at_random_ends_with_the_same_bits(tmp_path, figure, pytestconfig):
    kills = KILLS[pytestconfig.getoption("--long")]
    report = program("faults.kills", tmp_path, "--kills", kills, timeout=7200)
    assert report["kills"] == kills
    assert report["in_a_save"] >= 0.3 * kills
    check_kills(report, figure, "SIGKILL")


@needs_compiler
def test_soak(tmp_path, figure, pytestconfig):
    if not pytestconfig.getoption("--long"):
        pytest.skip("takes 30 minutes: --long")
    arguments = ("--kills", 10**9, "--seconds", SOAK_SECONDS, "--seed", 2)
    report = program("faults.kills", tmp_path, *arguments, timeout=2 * SOAK_SECONDS)
    check_kills(report, figure, f"soak of {SOAK_SECONDS} s")


@pytest.mark.any_backend
@needs_compiler
@pytest.mark.parametrize("what", ["kill", "ENOSPC", "EIO", "EFBIG", "EROFS"])
def test_a_save_ended_at_each_of_its_file_calls_loses_nothing(what, tmp_path, figure):
    report = program("faults.saves", tmp_path, what)
    for wrong in ("lost", "changed", "incomplete", "more_than_one_line", "other_exit", "not_redone"):
        assert report[wrong] == 0, report
    assert report["ended"] == report["calls"] if what == "kill" else report["ended"] > 0
    figure(f"{what} at every file call of a save: nothing lost", report["calls"], report["calls"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("flips") / "run"
    run(NET, RECIPE, small_data_(), seed=0, out=path)
    return path


def look(path):
    return experiment.inspect(NET, RECIPE, small_data_(), seed=0, out=path)


FILES = ["run.json", "metrics.csv", "model.keras", *(f"checkpoints/{name}" for name in checkpoints.FILES)]


@pytest.mark.any_backend
@pytest.mark.parametrize("name", FILES)
def test_damage_to_any_file_is_found_and_fallen_back_from(name, finished, tmp_path, figure, pytestconfig):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    newest, before = checkpoints.generations(folder)
    inside = name.startswith("checkpoints/")
    path = newest / Path(name).name if inside else folder / name
    good = path.read_bytes()
    choose = random.Random(0)
    flips = FLIPS[pytestconfig.getoption("--long")]
    damaged = []
    for _ in range(flips):
        at, data = choose.randrange(len(good)), bytearray(good)
        data[at] ^= 1 << choose.randrange(8)
        damaged.append(bytes(data))
    damaged += [good[: choose.randrange(len(good))] for _ in range(TRUNCATIONS)]
    if inside:  # so that the checkpoint is needed
        (folder / "run.json").unlink()
    found = fallen_back = 0
    for data in damaged:
        path.write_bytes(data)
        seen = look(folder)
        found += any(path.name in line or path.parent.name in line for line in seen.warnings)
        expected = before if inside else newest
        fallen_back += seen.finished is None and seen.checkpoint is not None and seen.checkpoint.path == expected
    figure(f"flips and truncations of {Path(name).name} found", found, len(damaged))
    figure(f"flips and truncations of {Path(name).name} fallen back from", fallen_back, len(damaged))
    assert found == fallen_back == len(damaged)

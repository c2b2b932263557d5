"""The programs as a user runs them: what they write, and one line and the right exit code for bad input."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from conftest import AS_FOR_A_USER, BACKEND, ROOT, run_json, run_python, small_arrays

from resnet_keras import InvalidValue
from resnet_keras.programs.backend import BACKENDS
from resnet_keras.programs.options import file_path, planned, recipe_from, training_options
from resnet_keras.runs import reading
from resnet_keras.spec.paper_recipes import IMAGENET_MODERN
from resnet_keras.spec.schedules import Warmup

CIFAR10, DEGRADATION, FIGURES = (f"recipes/{name}.py" for name in ("cifar10", "degradation", "figures"))


def test_cifar10_trains_a_users_own_images(tmp_path, small_npz):
    out = tmp_path / "run"
    arguments = [CIFAR10, "--depth", "8", "--iterations", "4", "--batch-size", "8", "--seed", "3"]
    done = run_python(*arguments, "--data-dir", str(small_npz), "--out", str(out), **AS_FOR_A_USER)
    assert done.returncode == 0, done.stderr
    settings = run_json(out)
    assert settings["recipe"]["schedule"]["boundaries"] == [2, 3]
    assert settings["recipe"]["batch_size"] == 8
    assert settings["seed"] == 3
    assert f"test error {settings['results']['test_error']:.2f} %" in done.stdout
    assert BACKEND in done.stdout
    assert "Traceback" not in done.stderr
    assert str(out / "model.keras") in done.stdout
    # A finished folder may have been published without its net.
    (out / "model.keras").unlink()
    again = run_python(*arguments, "--data-dir", str(small_npz), "--out", str(out))
    assert again.returncode == 0, again.stderr
    assert "already finished" in again.stdout
    assert "model.keras" not in again.stdout


def test_degradation_draws_its_figure_and_takes_finished_runs_as_they_are(tmp_path, small_npz):
    out = tmp_path / "out"
    arguments = [DEGRADATION, "--depths", "14", "8", "--image-size", "8", "--iterations", "3", "--batch-size", "4"]
    arguments += ["--data-dir", str(small_npz), "--out", str(out)]
    done = run_python(*arguments)
    assert done.returncode == 0, done.stderr
    assert [run.name for run in reading.find_readable(out)[0]] == ["ResNet-14", "ResNet-8", "plain-14", "plain-8"]
    for name in ("degradation.png", "degradation.svg", "table.md"):
        assert (out / name).stat().st_size > 0
    table = (out / "table.md").read_text()
    for run in reading.find_readable(out)[0]:
        assert f"| {run.name} |" in table
        assert f"{run.results.train_error:.2f}" in table

    again = run_python(*arguments)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("already finished") == 4

    axis = run_python(FIGURES, str(out), "--figure", "1", "--axis", "paper", "--out", str(tmp_path / "figure"))
    assert axis.returncode == 0, axis.stderr
    assert (tmp_path / "figure.svg").exists()


@pytest.fixture(scope="module")
def nowhere(tmp_path_factory):
    """An environment in which CIFAR-10 is not on disk and the network is cut."""
    cut = tmp_path_factory.mktemp("cut")
    (cut / "sitecustomize.py").write_text(
        "import socket\n"
        "def cut(*arguments, **options):\n"
        "    raise OSError(101, 'Network is unreachable')\n"
        "socket.create_connection = cut\n"
    )
    empty = str(tmp_path_factory.mktemp("empty"))
    return {"TFDS_DATA_DIR": empty, "KERAS_HOME": empty, "PYTHONPATH": str(cut)}


def labels_out_of_range(folder):
    np.savez(folder / "labels.npz", **(small_arrays() | {"y_test": np.full(30, 9)}))
    return ["--data-dir", str(folder / "labels.npz")]


def file_as_out(folder):
    (folder / "file").write_text("mine")
    return ["--out", str(folder / "file")]


BAD = {
    "depth": (2, "6n + 2", lambda _: ["--depth", "21"]),
    "no depth": (2, "--depth", lambda _: []),
    "depth in words": (2, "--depth", lambda _: ["--depth", "twenty"]),
    "shortcut": (2, "shortcut='D'", lambda _: ["--depth", "20", "--shortcut", "D"]),
    "shortcut of a plain net": (2, "--shortcut B", lambda _: ["--depth", "20", "--plain", "--shortcut", "B"]),
    "iterations": (2, "--iterations 0", lambda _: ["--depth", "20", "--iterations", "0"]),
    "batch size": (2, "batch_size=-1", lambda _: ["--depth", "20", "--batch-size", "-1"]),
    "learning rate": (2, "learning_rate=nan", lambda _: ["--depth", "20", "--learning-rate", "nan"]),
    "seed": (2, "--seed -1", lambda _: ["--depth", "20", "--seed", "-1"]),
    "unknown option": (2, "--widht", lambda _: ["--depth", "20", "--widht", "2"]),
    "data folder that is not there": (4, "Not found", lambda f: ["--depth", "20", "--data-dir", str(f / "absent")]),
    "empty data folder": (4, "cifar-10-python.tar.gz", lambda f: ["--depth", "20", "--data-dir", str(f)]),
    "labels": (2, "y_test from 9 to 9", lambda f: ["--depth", "20", *labels_out_of_range(f)]),
    "a file as run folder": (4, "--out", lambda f: ["--depth", "20", *file_as_out(f)]),
}


@pytest.mark.any_backend
@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_one_line_and_an_exit_code(what, tmp_path, nowhere):
    code, text, arguments = BAD[what]
    # A case's own --out comes later and overrides this one.
    done = run_python(CIFAR10, "--out", str(tmp_path / "run"), *arguments(tmp_path), **nowhere)
    assert done.returncode == code, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert text in lines[0]
    assert lines[0].startswith("cifar10.py: ")


def test_a_diverged_run_is_one_line_and_exit_code_3(tmp_path, small_npz):
    arguments = ["--depth", "8", "--iterations", "20", "--batch-size", "8", "--learning-rate", "1e30"]
    done = run_python(CIFAR10, *arguments, "--data-dir", str(small_npz), "--out", str(tmp_path / "run"))
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert "learning rate 1e+30" in done.stderr.strip().splitlines()[-1]


@pytest.mark.any_backend
def test_cifar10_never_falls_back(nowhere, tmp_path):
    done = run_python(CIFAR10, "--depth", "8", "--iterations", "1", "--out", str(tmp_path / "run"), **nowhere)
    assert done.returncode == 4
    assert "cifar-10-python.tar.gz" in done.stderr.strip().splitlines()[-1]


@pytest.mark.any_backend
def test_degradation_falls_back_on_generated_images_and_says_so(nowhere, tmp_path):
    out = tmp_path / "out"
    arguments = ["--depths", "8", "--image-size", "8", "--iterations", "2", "--batch-size", "4", "--out", str(out)]
    done = run_python(DEGRADATION, *arguments, **nowhere)
    assert done.returncode == 0, done.stderr
    run = reading.find_readable(out)[0][0]
    assert run.settings["data"]["generated"]
    assert run.recipe.warmup == Warmup(learning_rate=0.01, until_train_error=80.0)
    assert "NOT CIFAR-10" in done.stdout
    assert "not CIFAR-10" in (out / "degradation.svg").read_text()


@pytest.mark.any_backend
def test_degradation_does_not_fall_back_from_a_folder_that_was_named(tmp_path):
    done = run_python(DEGRADATION, "--data-dir", str(tmp_path), "--out", str(tmp_path / "out"))
    assert done.returncode == 4
    assert "Traceback" not in done.stderr


@pytest.mark.any_backend
def test_paper_sets_depths_itself(tmp_path):
    done = run_python(DEGRADATION, "--paper", "--depths", "20", "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "--paper" in done.stderr


@pytest.mark.any_backend
@pytest.mark.parametrize("asked", ["theano", *BACKENDS])
def test_a_backend_that_cannot_be_is_named(asked, tmp_path):
    """A folder at the front of the path hides the backend's package, as if it were not installed."""
    hide = tmp_path / "sitecustomize.py"
    hide.write_text(
        "import importlib.util as u\nreal = u.find_spec\n"
        f"u.find_spec = lambda name, *a: None if name == {asked!r} else real(name, *a)\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = run_python(CIFAR10, "--depth", "8", "--out", str(tmp_path / "run"), backend=asked, PYTHONPATH=path)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert asked in done.stderr


@pytest.mark.any_backend
@pytest.mark.parametrize("recipe", [CIFAR10, DEGRADATION, FIGURES])
def test_help_gives_options_with_defaults_at_once(recipe):
    done = run_python(recipe, "--help")
    assert done.returncode == 0
    assert "default" in done.stdout
    if recipe != FIGURES:
        for option in ("--data-dir", "--out", "--iterations", "--batch-size", "--seed"):
            assert option in done.stdout


@pytest.mark.any_backend
@pytest.mark.parametrize(("file", "arguments"), [("absent", []), ("", ["--figure", "5"])])
def test_figures_refuses_what_is_no_run(file, arguments, tmp_path):
    done = run_python(FIGURES, str(tmp_path / file), *arguments)
    assert done.returncode in (2, 4)
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_errors_do_not_depend_on_keras_floatx(small_npz, tmp_path):
    """In float16 a count of images ends at 65,504, and errors go wrong long before; TensorFlow raised a TypeError."""
    (tmp_path / "keras.json").write_text('{"floatx": "float16", "epsilon": 1e-07}', encoding="utf-8")
    rows = []
    for name, environment in (("usual", {}), ("float16", {"KERAS_HOME": str(tmp_path)})):
        options = ["--iterations", "2", "--batch-size", "6", "--data-dir", str(small_npz)]
        done = run_python(CIFAR10, "--depth", "8", *options, "--out", str(tmp_path / name), **environment)
        assert done.returncode == 0, done.stderr
        *_, row = reading.read(tmp_path / name).rows
        rows.append((row.train_error, row.validation_error, row.cross_entropy))
    assert rows[0] == rows[1]


@pytest.mark.any_backend
def test_a_home_is_where_the_users_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert file_path("~/runs/x") == tmp_path / "runs" / "x"


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("recipe", "option"),
    [
        (["precise.py", "--out", "x.keras"], ["--batch-size", "1000000000"]),
        (["precise.py", "--out", "x.keras"], ["--images", "10000000000"]),
        (["precise.py", "--out", "x.keras"], ["--limit", "0"]),
        (["evaluate.py"], ["--workers", "1000000000"]),
    ],
)
def test_numbers_that_no_machine_has_are_told_before_the_work(recipe, option, tmp_path):
    name, *others = recipe
    done = run_python(f"recipes/{name}", "net.keras", "--data-dir", str(tmp_path), *others, *option)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.any_backend
@pytest.mark.parametrize("link", ["0", "nan", "inf", "5e-324"])
def test_a_link_is_of_a_speed_that_gives_a_time(link):
    options = training_options("", out="out", several_processes=True).parse(["--link", link])
    with pytest.raises(InvalidValue, match="--link"):
        planned(options)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
@pytest.mark.any_backend
def test_a_program_runs_without_its_streams(closed, tmp_path):
    """As under a service manager: Python has None for a missing stream, and a file may take its number."""
    command = f"{sys.executable} recipes/tables.py results/degradation --out {tmp_path} {closed}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "tables.md").read_text().count("## Table") == 5


def test_the_command_line_leaves_alone_what_it_does_not_name():
    modern = replace(IMAGENET_MODERN, accumulate=4, precision="mixed_bfloat16")
    assert recipe_from(training_options("", out="x").parse([]), modern) == modern
    asked = training_options("", out="x").parse(["--accumulate", "2"])
    assert recipe_from(asked, modern) == replace(modern, accumulate=2)
    large = recipe_from(training_options("", out="x").parse(["--batch-size", "8192"]), modern)
    # Keras counts in float32, exactly up to 2^24 images: 2,048 updates of 8,192.
    assert large == replace(modern, batch_size=8192, evaluate_every=2048)

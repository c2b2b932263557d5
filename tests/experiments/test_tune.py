"""A search: its trials are runs, it resumes after a kill, and it tries what keras-tuner's oracle proposes."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import BACKEND, ROOT, run_json, run_python
from rich.console import Console

keras_tuner = pytest.importorskip("keras_tuner")

from resnet_keras import InputOutput, build, cifar10  # noqa: E402
from resnet_keras.experiments import tune  # noqa: E402
from resnet_keras.experiments.confirm import confirm  # noqa: E402
from resnet_keras.plotting.search import parallel_coordinates  # noqa: E402
from resnet_keras.reports import trials  # noqa: E402
from resnet_keras.reports.trials import Trial  # noqa: E402
from resnet_keras.runs import reading  # noqa: E402
from resnet_keras.spec.short_experiment import SHORT  # noqa: E402

QUIET = Console(quiet=True)


def options(small_npz, out, *more):
    return ["recipes/tune.py", "--data-dir", str(small_npz), "--out", str(out), *more]


@pytest.mark.any_backend
def test_a_net_of_twice_the_width_has_twice_the_filters():
    net = tune.widened(cifar10(8), 32)
    assert [net.stem.filters, *(stage.filters for stage in net.stages)] == [32, 32, 64, 128]
    assert build(net).count_params() > 3.5 * build(cifar10(8)).count_params()
    assert tune.widened(cifar10(8), 16) == cifar10(8)


@pytest.mark.any_backend
def test_hyperband_gives_ninths_thirds_and_all_of_the_iterations(small_data):
    wanted = tune.Search("hyperband", SHORT.rescaled(90), small_data, 0)
    oracle = wanted.oracle(30)
    oracle._set_project_dir("", "")
    values = dict.fromkeys(("learning_rate", "weight_decay"), 0.1) | {"depth": 8, "width": 8, "batch_size": 4}
    given = []
    for epochs in (1, 3, 9):
        net, recipe = wanted.trial(values | {"shortcut": "none", "tuner/epochs": epochs})
        assert (net.shortcut, net.depth, recipe.batch_size) == (None, 8, 4)
        given.append(recipe.iterations)
    assert given == [10, 30, 90]
    # Li et al. 2018, section 3: with nine ninths and a factor of 3, brackets begin with 1/9, 1/3 and all.
    assert [oracle._get_epochs(bracket, 0) for bracket in (2, 1, 0)] == [1, 3, 9]


@pytest.mark.slow
@pytest.mark.any_backend
def test_bayesian_proposals_follow_what_was_measured(small_data, tmp_path):
    """18 at random, three per hyper-parameter; then where the error is low: a rate near 0.05, whatever the rest."""
    pytest.importorskip("sklearn")
    oracle = tune.Search("bayesian", SHORT, small_data, 0).oracle(24)
    oracle._set_project_dir(str(tmp_path), "bayesian")
    far = []
    for _ in range(24):
        trial = oracle.create_trial("tuner0")
        far.append(abs(np.log10(trial.hyperparameters.values["learning_rate"] / 0.05)))
        oracle.update_trial(trial.trial_id, {tune.OBJECTIVE: 40 + 30 * far[-1]})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert np.median(far[18:]) < np.median(far[:18]) / 2


@pytest.mark.any_backend
def test_trials_are_runs_and_a_diverged_one_is_no_end(small_data, tmp_path, monkeypatch):
    monkeypatch.setattr(tune, "RATES", (0.01, 1e30))  # the first two proposals of seed 0 diverge
    wanted = tune.Search("random", SHORT.rescaled(3), small_data, 0)
    found = tune.search(wanted, tmp_path, 3, QUIET)
    assert [trial.run for trial in found] == [f"trials/trial-{n}" for n in range(3)]
    rows = list(csv.DictReader((tmp_path / "trials.csv").open()))
    for row, trial in zip(rows, found, strict=True):
        run = reading.read(tmp_path / row["run"])
        assert float(row["learning_rate"]) == pytest.approx(run.recipe.learning_rate, rel=1e-6)
        assert int(row["width"]) == run.settings["architecture"]["stages"][0]["filters"]
        assert row["validation_error"] == ("" if run.results is None else f"{run.results.validation_error:.7g}")
        assert (run.results is None) == (trial.validation_error is None) == (run.recipe.learning_rate > 1e5)
    assert any(trial.validation_error is None for trial in found)
    # Finished trials are read, and more are added.
    began = [run_json(tmp_path / trial.run)["started"] for trial in found]
    more = tune.search(wanted, tmp_path, 4, QUIET)
    assert len(more) == 4
    assert [run_json(tmp_path / trial.run)["started"] for trial in found] == began
    with pytest.raises(InputOutput, match="another --out"):
        tune.search(tune.Search("random", SHORT.rescaled(4), small_data, 0), tmp_path, 3, QUIET)


@pytest.mark.any_backend
def test_a_killed_search_goes_on(small_npz, tmp_path):
    out = tmp_path / "search"
    command = options(small_npz, out, "--search", "random", "--trials", "2", "--iterations", "120")
    process = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=os.environ | {"KERAS_BACKEND": BACKEND}, stdout=subprocess.DEVNULL
    )
    first = out / "trials" / "trial-0"
    until = time.monotonic() + 300
    while not list(first.glob("checkpoints/iteration-*")) and time.monotonic() < until and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert run_json(first)["results"] is None, "the kill came too late"
    done = run_python(*command)
    assert done.returncode == 0, done.stderr
    assert run_json(first)["continued"][0]["iteration"] >= 50
    found, _ = trials.read(out)
    assert [trial.run for trial in found] == ["trials/trial-0", "trials/trial-1"]
    assert all(trial.validation_error is not None for trial in found)
    assert {path.name for path in out.iterdir()} >= {"trials.csv", "trials.png", "trials.svg", "table.md"}
    state = json.loads((out / "keras-tuner" / "oracle.json").read_text())
    assert state["end_order"] == ["0", "1"]


@pytest.mark.any_backend
def test_the_best_trial_is_confirmed_at_equal_updates_on_other_seeds(small_data, tmp_path):
    recipe = SHORT.rescaled(2)
    with pytest.raises(InputOutput, match="without one"):
        confirm(tmp_path, recipe, small_data, (1,), QUIET)
    (trial,) = tune.search(tune.Search("hyperband", recipe, small_data, 0), tmp_path, 1, QUIET)
    assert trial.iterations == 1  # a ninth
    table = confirm(tmp_path, recipe, small_data, (1, 2), QUIET)
    assert [row[0] for row in table.rows] == ["best trial: trials/trial-0", "default: ResNet-8", "default: ResNet-26"]
    runs = {run.path.name: run for run in reading.find_readable(tmp_path / "confirmation")[0]}
    assert {run.recipe.iterations for run in runs.values()} == {2}
    errors = [runs[f"trial-0-seed{seed}"].results.validation_error for seed in (1, 2)]
    assert table.rows[0][2] == f"{np.mean(errors):.2f} ± {np.std(errors, ddof=1):.2f} (2)"
    held = runs["trial-0-seed1"].settings
    assert held["recipe"]["learning_rate"] == pytest.approx(trial.learning_rate)
    assert held["architecture"]["stages"][0]["filters"] == trial.width


@pytest.mark.any_backend
def test_a_table_that_cannot_be_written_ends_the_search(small_data, tmp_path, monkeypatch):
    def full(folder):
        raise InputOutput("no space left")

    monkeypatch.setattr(tune, "write_csv", full)
    with pytest.raises(InputOutput, match="no space left"):
        tune.search(tune.Search("hyperband", SHORT.rescaled(2), small_data, 0), tmp_path, 2, QUIET)
    assert len(list((tmp_path / "trials").iterdir())) == 1


@pytest.mark.any_backend
def test_a_state_that_knows_less_than_the_trials_proposes_them_again(small_data, tmp_path):
    """As when a process is killed after writing a trial's file and before the oracle's own."""
    wanted = tune.Search("random", SHORT.rescaled(2), small_data, 0)
    tuner = tune.RunTuner(wanted, tmp_path, 3, QUIET)
    tuner.save()
    before = Path(tuner.oracle._get_oracle_fname()).read_bytes()
    proposed = tuner.oracle.create_trial("tuner0").hyperparameters.values
    Path(tuner.oracle._get_oracle_fname()).write_bytes(before)
    again = tune.RunTuner(wanted, tmp_path, 3, QUIET).oracle.create_trial("tuner0")
    assert again.trial_id == "0"
    assert again.hyperparameters.values == proposed


@pytest.mark.any_backend
def test_a_trial_is_one_line_of_a_terminal_of_80_columns():
    made = [
        Trial(f"trials/trial-{100 + n}", 0.0053127 / 3**n, 4.7876e-05, 26, "none", 16, 128, 267, 66.1) for n in (0, 1)
    ]
    terminal = Console(file=io.StringIO(), width=80)
    terminal.print(trials.table(made).for_terminal())
    lines = [line for line in terminal.file.getvalue().splitlines() if line.strip()]
    assert len(lines) == 2 + len(made)


@pytest.mark.any_backend
def test_the_picture_has_a_line_for_each_trial_and_the_best_is_on_top():
    errors = (40.0, 30.0, None, 50.0)
    made = [Trial(f"t-{n}", 0.1 / (n + 1), 1e-4, 8, "A", 16, 64, 60, error) for n, error in enumerate(errors)]
    assert [one.run for one in trials.best_first(made)] == ["t-1", "t-0", "t-3"]
    (ax,) = parallel_coordinates(made, data="x").axes
    drawn = [line for line in ax.lines if len(line.get_xdata()) > 2]
    assert [line.get_ydata()[-1] for line in drawn] == [1.0, 0.5, 0.0]
    assert drawn[-1].get_linewidth() > drawn[0].get_linewidth()
    assert trials.table(made).rows[0][:2] == ("t-1", "30.00")
    assert trials.csv(made).splitlines()[3].endswith(",60,")


@pytest.mark.any_backend
@pytest.mark.parametrize(
    "wrong",
    [
        ["--trials", "0", "--iterations", "9"],
        ["--trials", "2", "--iterations", "0"],
        ["--trials", "2", "--iterations", "9", "--image-size", "0"],
    ],
)
def test_what_cannot_be_searched_is_one_line(wrong, tmp_path, small_npz):
    done = run_python(*options(small_npz, tmp_path, *wrong))
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1

"""A run that was interrupted at any point ends like one that was not: the same rows, the same weights, bit for bit."""

import os
import signal
from dataclasses import replace

import keras
import numpy as np
import pytest
from baseline_nets import SMALL as BASELINES
from conftest import small_arrays

from resnet_keras import Damaged, Diverged, InputOutput, OtherRun, Recipe, Stopped, cifar10, run
from resnet_keras.data.small.images import image_data
from resnet_keras.experiments import run as experiment
from resnet_keras.runs import checkpoints, reading
from resnet_keras.runs.locking import lock
from resnet_keras.runs.lookup import folder_for, inspect
from resnet_keras.spec.augmentation import PaddedCrop
from resnet_keras.spec.records import TIMES
from resnet_keras.spec.schedules import Cosine, Steps, Warmup
from resnet_keras.training import loop, snapshot
from resnet_keras.training import train as training

NET = cifar10(8, num_classes=3, image_size=8)
RECIPE = Recipe(
    iterations=6,
    schedule=Steps((3,)),
    batch_size=6,
    learning_rate=0.02,
    augmentation=PaddedCrop(1),
    evaluate_every=3,
    warmup=Warmup(0.001, 100),
)


def outcome(path):
    """What must not depend on interruptions: rows without times, results, weights and the optimizer's state."""
    done = reading.read(path)
    model = keras.models.load_model(path / "model.keras")
    arrays = [np.array(keras.ops.convert_to_numpy(v)) for v in [*model.weights, *model.optimizer.variables]]
    rows = [row._replace(**dict.fromkeys(TIMES, 0.0)) for row in done.rows]
    return rows, done.results, [array.tobytes() for array in arrays]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    from conftest import small_data_

    path = tmp_path_factory.mktemp("straight") / "run"
    run(NET, RECIPE, small_data_(), seed=3, out=path)
    return outcome(path)


def go(data, path, recipe=RECIPE, **options):
    return run(NET, recipe, data, seed=3, out=path, **options)


def interrupt(monkeypatch, owner, name, call):
    """Sends this process SIGTERM in the call with this number, counted from 0."""
    real, calls = getattr(owner, name), []

    def counted(*arguments, **keywords):
        calls.append(None)
        if len(calls) == call + 1:
            signal.raise_signal(signal.SIGTERM)
        return real(*arguments, **keywords)

    monkeypatch.setattr(owner, name, counted)


UPDATE, TEST_STEP = (loop.Watch, "on_train_batch_end"), (loop.Watch, "on_test_batch_end")
POINTS = {
    "inside a period": (*UPDATE, 1),
    "the last update of a period": (*UPDATE, 2),
    "the validation": (*TEST_STEP, 0),
    "a checkpoint": (training.RunFolder, "save_state", 0),
    "the test": (*TEST_STEP, 2),
}


@pytest.mark.parametrize("point", POINTS)
def test_a_signal_saves_the_run_and_it_goes_on(point, straight, small_data, tmp_path, monkeypatch):
    path = tmp_path / "run"
    with monkeypatch.context() as patch:
        interrupt(patch, *POINTS[point])
        with pytest.raises(Stopped, match=r"SIGTERM.*to resume") as stopped:
            go(small_data, path)
    assert stopped.value.exit_code == 143
    go(small_data, path)
    assert outcome(path) == straight
    assert reading.read(path).settings["continued"]


def test_a_modern_recipe_goes_on_too(small_data, tmp_path, monkeypatch):
    """Averaged weights and accumulated gradients are saved too; a signal inside an update takes effect after it."""
    modern = replace(
        RECIPE, schedule=Cosine(), warmup=None, accumulate=2, average_over=4, label_smoothing=0.1, zero_gamma=True
    )
    go(small_data, tmp_path / "straight", modern)
    for owner, name, call in ((*UPDATE, 2), (*TEST_STEP, 0), (*UPDATE, 0)):
        with monkeypatch.context() as patch:
            interrupt(patch, owner, name, call)
            with pytest.raises(Stopped):
                go(small_data, tmp_path / "run", modern)
    go(small_data, tmp_path / "run", modern)
    assert outcome(tmp_path / "run") == outcome(tmp_path / "straight")


def test_dropout_goes_on_too(tmp_path, monkeypatch):
    """A checkpoint holds what it draws next, by a name that does not depend on what the process built before."""
    net = BASELINES["VGG"]
    arrays = small_arrays(24, net.image_size, net.num_classes)
    data = image_data(
        name="small",
        source="tests",
        train=(arrays["x_train"], arrays["y_train"]),
        test=(arrays["x_test"], arrays["y_test"]),
    )
    recipe = replace(RECIPE, warmup=None, learning_rate=1e-4)
    run(net, recipe, data, seed=3, out=tmp_path / "straight")
    with monkeypatch.context() as patch:
        interrupt(patch, *POINTS["inside a period"])
        with pytest.raises(Stopped):
            run(net, recipe, data, seed=3, out=tmp_path / "run")
    run(net, recipe, data, seed=3, out=tmp_path / "run")
    assert outcome(tmp_path / "run") == outcome(tmp_path / "straight")


@pytest.mark.parametrize("average_over", [0, 4])
def test_a_process_that_ends_between_a_checkpoint_and_its_row(small_data, tmp_path, monkeypatch, average_over):
    """As if killed between a checkpoint and its row: the run still ends with the same bits."""
    recipe = replace(RECIPE, average_over=average_over)
    go(small_data, tmp_path / "straight", recipe)
    with monkeypatch.context() as patch:
        patch.setattr(training.RunFolder, "record", lambda self, row: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            go(small_data, tmp_path / "run", recipe)
    go(small_data, tmp_path / "run", recipe)
    assert outcome(tmp_path / "run") == outcome(tmp_path / "straight")


def test_interrupted_five_times_in_a_row(straight, small_data, tmp_path, monkeypatch):
    """One update per process up to the first validation, a stop in that, and one update more."""
    path = tmp_path / "run"
    for owner, name in (UPDATE, UPDATE, UPDATE, TEST_STEP, UPDATE):
        with monkeypatch.context() as patch:
            interrupt(patch, owner, name, 0)
            with pytest.raises(Stopped):
                go(small_data, path)
    go(small_data, path)
    assert outcome(path) == straight


def stopped_at(iteration, small_data, path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt(patch, *UPDATE, iteration - 1)
        with pytest.raises(Stopped):
            go(small_data, path)


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_is_used(
    straight, small_data, tmp_path, monkeypatch, capsys
):
    path = tmp_path / "run"
    stopped_at(5, small_data, path, monkeypatch)
    newest, before = checkpoints.generations(path)
    arrays = newest / "arrays.npz"
    data = bytearray(arrays.read_bytes())
    data[len(data) // 2] ^= 1
    arrays.write_bytes(data)
    go(small_data, path)
    assert newest.name in capsys.readouterr().out
    assert outcome(path) == straight
    assert before.name == "iteration-00000003"


@pytest.mark.parametrize("file", ["run.json", "metrics.csv", "model.keras"])
def test_a_damaged_file_is_named_and_made_again(file, straight, small_data, tmp_path, capsys):
    path = tmp_path / "run"
    go(small_data, path)
    data = bytearray((path / file).read_bytes())
    data[len(data) // 3] ^= 1
    (path / file).write_bytes(data)
    go(small_data, path)
    assert "Damaged" in capsys.readouterr().out
    assert outcome(path) == straight


def test_more_iterations_go_on_from_a_finished_run_and_other_settings_are_refused(small_data, tmp_path):
    path = tmp_path / "run"
    go(small_data, path)
    first = reading.read(path).rows
    longer = RECIPE.rescaled(9)
    go(small_data, path, longer)
    done = reading.read(path)
    assert [row.iteration for row in done.rows] == [3, 6, 9]
    assert done.rows[:2] == first
    assert done.rows[2].learning_rate == first[1].learning_rate  # a boundary once passed stays passed
    before = (path / "model.keras").stat().st_mtime_ns
    go(small_data, path, longer)
    assert (path / "model.keras").stat().st_mtime_ns == before
    for other in (RECIPE, replace(longer, batch_size=7), replace(longer, learning_rate=0.03)):
        with pytest.raises(OtherRun, match="ResNet-8 with other settings") as refused:
            go(small_data, path, other)
    assert ("recipe.learning_rate", "0.02", "0.03") in refused.value.differences
    with pytest.raises(OtherRun):
        run(NET, longer, small_data, seed=4, out=path)


def test_fresh_starts_over_beside_it(small_data, tmp_path):
    path = tmp_path / "run"
    assert go(small_data, path, resume="fresh").path == path
    second = go(small_data, path, replace(RECIPE, batch_size=5), resume="fresh")
    assert second.path == tmp_path / "run-2"
    assert folder_for(path, "fresh") == tmp_path / "run-3"
    assert reading.read(path).settings["recipe"]["batch_size"] == 6


def test_a_second_writer_is_refused_by_the_name_of_the_first(small_data, tmp_path):
    with lock(tmp_path / "run"), pytest.raises(InputOutput, match=rf"process {os.getpid()} on"):
        go(small_data, tmp_path / "run")
    go(small_data, tmp_path / "run")


def test_two_generations_are_kept_and_no_more(small_data, tmp_path):
    go(small_data, tmp_path / "run", replace(RECIPE, iterations=12))
    kept = [path.name for path in checkpoints.generations(tmp_path / "run")]
    assert len(kept) == 2
    assert kept[0] == "iteration-00000012"


def test_a_weight_that_is_not_finite_ends_the_run_and_the_checkpoint_before_it_stays(small_data, tmp_path, monkeypatch):
    """Though the loss is finite, as when TensorFlow's compiled ReLU turns NaN into 0."""
    real, taken = snapshot.take, []

    def take(model, **options):
        arrays = real(model, **options)
        taken.append(arrays)
        if len(taken) == 2:
            arrays["weights/conv1_conv/kernel"][0] = np.nan
        return arrays

    monkeypatch.setattr(snapshot, "take", take)
    with pytest.raises(Diverged, match=r"conv1_conv/kernel with NaN.*iterations 3 to 6 at learning rate.*00000003"):
        go(small_data, tmp_path / "run")
    (left,) = checkpoints.generations(tmp_path / "run")
    assert checkpoints.read(left).state.iteration == 3


def test_a_checkpoint_of_another_net_is_refused(small_data, tmp_path, monkeypatch):
    """The seal fits, so the files are whole: it is the structure that is wrong."""
    stopped_at(5, small_data, tmp_path / "run", monkeypatch)
    checkpoint, _ = checkpoints.newest(tmp_path / "run")
    arrays = dict(checkpoint.state.arrays)
    name = next(name for name in arrays if name.endswith("kernel"))
    arrays[name] = arrays[name][..., :-1]
    checkpoints.save(tmp_path / "run", replace(checkpoint.state, arrays=arrays), checkpoint.settings, {})
    with pytest.raises(Damaged, match="shape"):
        go(small_data, tmp_path / "run")


def test_another_backend_does_not_go_on_but_reads_what_is_finished(small_data, tmp_path, monkeypatch):
    path = tmp_path / "run"
    settings = experiment.settings_of(NET, RECIPE, small_data, 3)
    stopped_at(5, small_data, path, monkeypatch)
    with pytest.raises(OtherRun) as refused:
        inspect(path, settings, RECIPE, "another")
    assert [difference.field for difference in refused.value.differences] == ["backend"]
    go(small_data, path)
    assert inspect(path, settings, RECIPE, "another").finished is not None
    with pytest.raises(OtherRun):
        inspect(
            path,
            settings | {"recipe": replace(RECIPE, iterations=9).to_dict()},
            replace(RECIPE, iterations=9),
            "another",
        )

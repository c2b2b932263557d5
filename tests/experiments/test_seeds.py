"""Several seeds at once: each run folder is what its seed gives alone, up to rounding."""

import math
import signal
from dataclasses import replace

import keras
import numpy as np
import pytest
from conftest import run_json, run_python

from resnet_keras import Diverged, InvalidValue, Recipe, Stopped, cifar10, run, run_seeds
from resnet_keras.backends import device
from resnet_keras.experiments import run as experiment
from resnet_keras.runs import reading
from resnet_keras.spec.augmentation import PaddedCrop
from resnet_keras.spec.schedules import Cosine, Steps, Warmup
from resnet_keras.training import train as training
from resnet_keras.training import vectorised

NET = cifar10(8, num_classes=3, image_size=8)
RECIPE = Recipe(
    iterations=6,
    schedule=Steps((3,)),
    batch_size=6,
    learning_rate=0.02,
    augmentation=PaddedCrop(1),
    evaluate_every=3,
    warmup=Warmup(0.001, 60),  # each seed's training error ends it, so rates may differ between seeds
)
MODERN = replace(RECIPE, warmup=None, schedule=Cosine(), accumulate=2, average_over=4, label_smoothing=0.1)
on_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="one program of several nets is made on JAX")


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """At once wherever possible: even on a CPU, where it is not faster."""
    monkeypatch.setattr(experiment, "train_at_once", lambda: keras.backend.backend() == "jax")


def together(data, tmp_path, recipe, seeds=(0, 3)):
    return run_seeds(NET, recipe, data, outs={seed: tmp_path / f"seed{seed}" for seed in seeds})


def alike(mine, other):
    assert [(row.iteration, row.learning_rate) for row in mine.rows] == [
        (row.iteration, row.learning_rate) for row in other.rows
    ]
    for own, alone in zip(mine.rows, other.rows, strict=True):
        np.testing.assert_allclose(own[2:6], alone[2:6], rtol=1e-3, atol=1e-3)
    weights = [keras.models.load_model(one.path / reading.MODEL).get_weights() for one in (mine, other)]
    for own, alone in zip(*weights, strict=True):
        np.testing.assert_allclose(own, alone, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("recipe", [RECIPE, MODERN], ids=["paper", "modern"])
def test_each_run_is_the_one_it_would_be_alone(small_data, tmp_path, recipe):
    for done, seed in zip(together(small_data, tmp_path, recipe), (0, 3), strict=True):
        alone = run(NET, recipe, small_data, seed=seed, out=tmp_path / f"alone{seed}")
        alike(done, alone)
        assert done.settings["seed"] == seed
        assert done.results.test_error == pytest.approx(alone.results.test_error, abs=4)  # one image of thirty


@on_jax
def test_those_trained_in_bfloat16_are_tested_in_float32(small_data, tmp_path, monkeypatch):
    compiled, step = [], keras.Model.test_step

    def noted(model, state, data):
        compiled.append({layer.compute_dtype for layer in model.layers})
        return step(model, state, data)

    monkeypatch.setattr(keras.Model, "test_step", noted)
    together(small_data, tmp_path, replace(RECIPE, precision="mixed_bfloat16", warmup=None))
    assert "bfloat16" in compiled[0]
    assert compiled[-1] == {"float32"}


def test_on_a_cpu_they_take_turns(small_data, tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(device, "name", lambda: "cpu")
    monkeypatch.setattr(training, "VectorisedLoop", lambda *arguments, **options: pytest.fail("one program"))
    done = together(small_data, tmp_path, RECIPE)
    assert [one.settings["seed"] for one in done] == [0, 3]


@on_jax
def test_on_an_accelerator_they_are_one_program(monkeypatch):
    monkeypatch.undo()
    for name, expected in (("cpu", False), ("an accelerator", True)):
        monkeypatch.setattr(device, "name", lambda name=name: name)
        assert experiment.train_at_once() == expected


def test_seeds_differ(small_data, tmp_path):
    first, second = together(small_data, tmp_path, RECIPE)
    assert first.rows[-1].cross_entropy != second.rows[-1].cross_entropy


def weights(done):
    model = keras.models.load_model(done.path / reading.MODEL)
    return [np.array(variable) for variable in (*model.weights, *model.optimizer.variables)]


@on_jax
@pytest.mark.parametrize("recipe", [RECIPE, MODERN], ids=["paper", "modern"])
def test_they_go_on_together_after_a_signal(small_data, tmp_path, monkeypatch, recipe):
    straight = together(small_data, tmp_path / "straight", recipe)
    calls = []
    real = vectorised.VectorisedLoop._compiled

    def interrupted(self, twins, kind):
        step = real(self, twins, kind)

        def counted(*arguments):
            calls.append(None)
            if len(calls) == 2 * recipe.accumulate:
                signal.raise_signal(signal.SIGTERM)
            return step(*arguments)

        return counted

    with monkeypatch.context() as patch:
        patch.setattr(vectorised.VectorisedLoop, "_compiled", interrupted)
        with pytest.raises(Stopped, match=r"iteration 2 in .*seed0 and 1 more"):
            together(small_data, tmp_path / "run", recipe)
    for done, other in zip(together(small_data, tmp_path / "run", recipe), straight, strict=True):
        assert [row[:6] for row in done.rows] == [row[:6] for row in other.rows]
        for mine, same in zip(weights(done), weights(other), strict=True):
            np.testing.assert_array_equal(mine, same)


@on_jax
@pytest.mark.parametrize("longer_first", [True, False])
def test_one_that_is_lengthened_keeps_its_own_recipe(small_data, tmp_path, longer_first):
    """It keeps its rates so far, so its boundaries differ from those of a new run."""
    short, long = (replace(RECIPE, warmup=None).rescaled(iterations) for iterations in (60, 120))
    run(NET, short, small_data, seed=0, out=tmp_path / "seed0")
    alone = run(NET, short, small_data, seed=0, out=tmp_path / "alone")
    alone = run(NET, long, small_data, seed=0, out=tmp_path / "alone")
    done = together(small_data, tmp_path, long, seeds=(0, 3) if longer_first else (3, 0))
    lengthened, begun = done if longer_first else done[::-1]
    assert (lengthened.recipe.schedule.boundaries, begun.recipe.schedule.boundaries) == ((30,), (60,))
    assert lengthened.recipe == alone.recipe
    assert [row.learning_rate for row in lengthened.rows] == [row.learning_rate for row in alone.rows]
    again = together(small_data, tmp_path, long)
    assert [one.results for one in again] == [lengthened.results, begun.results]


@on_jax
def test_one_that_diverges_does_not_stop_the_others(small_data, tmp_path, monkeypatch):
    real = training.SeedRun._check

    def check(self, loss, arrays, period):
        real(self, math.nan if self.path.name == "seed0" and period.stop == 6 else loss, arrays, period)

    monkeypatch.setattr(training.SeedRun, "_check", check)
    with pytest.raises(Diverged, match=r"a loss of nan in iterations 3 to 6 .*seed0"):
        together(small_data, tmp_path, RECIPE, seeds=(0, 3, 4))
    assert [row.iteration for row in reading.read(tmp_path / "seed0").rows] == [3]
    for seed in (3, 4):
        alike(
            reading.read(tmp_path / f"seed{seed}"),
            run(NET, RECIPE, small_data, seed=seed, out=tmp_path / f"alone{seed}"),
        )


@on_jax
def test_one_that_is_behind_catches_up(small_data, tmp_path):
    """As when the process ended between two checkpoints: one of the nets is further on than the other."""
    run(NET, replace(RECIPE, iterations=3, schedule=Steps(())), small_data, seed=0, out=tmp_path / "seed0")
    longer = replace(RECIPE, iterations=9, schedule=Steps(()))
    for done in together(small_data, tmp_path, longer):
        assert [row.iteration for row in done.rows] == [3, 6, 9]
    for seed, done in zip((0, 3), together(small_data, tmp_path, longer), strict=True):  # finished, so only read
        alike(done, run(NET, longer, small_data, seed=seed, out=tmp_path / f"alone{seed}"))


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="what other backends say")
def test_other_backends_say_that_they_cannot():
    with pytest.raises(InvalidValue, match="on JAX"):
        vectorised.VectorisedLoop(None, None, 1, averaged=False)


def test_a_recipe_takes_seeds(small_npz, tmp_path):
    arguments = ["recipes/cifar10.py", "--depth", "8", "--iterations", "2", "--batch-size", "4", "--seeds", "1-2,5"]
    done = run_python(*arguments, "--data-dir", str(small_npz), "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    for seed in (1, 2, 5):
        assert run_json(tmp_path / f"ResNet-8-seed{seed}")["seed"] == seed
    assert "3 seeds" in done.stdout
    for wrong in (["--seed", "3"], ["--estimate"]):
        refused = run_python(*arguments, *wrong)
        assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1), refused.stderr

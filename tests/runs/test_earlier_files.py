"""Run folders and models that an earlier commit wrote: models open, and runs resume."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import BACKEND, ROOT, small_data_

from resnet_keras import Recipe, load, run
from resnet_keras.runs import reading
from resnet_keras.spec.architecture import Architecture, Stage, Stem
from resnet_keras.spec.augmentation import PaddedCrop
from resnet_keras.spec.schedules import Steps, Warmup

EARLIER = ROOT / "tests" / "files" / "8d48f2f"
NET = Architecture(Stem(4, 3, 1, False), (Stage(4, 1, 1), Stage(8, 1, 2)), "basic", "A", 3, 8, "1x1", "pixel")
RECIPE = Recipe(
    iterations=9,
    schedule=Steps((6,)),
    batch_size=6,
    learning_rate=0.02,
    augmentation=PaddedCrop(1),
    evaluate_every=3,
    warmup=Warmup(0.001, 100),
)


def go_on(path: Path) -> reading.Run:
    return run(NET, RECIPE, small_data_(), seed=3, out=path)


@pytest.fixture
def earlier(tmp_path):
    return Path(shutil.copytree(EARLIER / BACKEND, tmp_path / "runs"))


def test_an_interrupted_run_goes_on_to_where_it_would_have_ended(earlier):
    done = go_on(earlier / "interrupted")
    assert [part["iteration"] for part in done.settings["continued"]] == [5]
    expected = reading.read(earlier / "finished")
    assert [row.iteration for row in done.rows] == [3, 6, 9]
    for row, other in zip(done.rows, expected.rows, strict=True):
        # A processor other than the one that wrote the file rounds differently.
        np.testing.assert_allclose(row.cross_entropy, other.cross_entropy, rtol=1e-3)
        np.testing.assert_allclose(row.validation_cross_entropy, other.validation_cross_entropy, rtol=1e-3)
    assert done.results == expected.results


def test_a_finished_run_is_read_not_trained(earlier):
    before = (earlier / "finished" / "run.json").read_bytes()
    assert go_on(earlier / "finished").results == reading.read(EARLIER / BACKEND / "finished").results
    assert (earlier / "finished" / "run.json").read_bytes() == before


def test_a_finished_run_goes_on_for_more_iterations(earlier):
    done = run(NET, RECIPE.rescaled(18), small_data_(), seed=3, out=earlier / "finished")
    assert done.rows[:3] == reading.read(EARLIER / BACKEND / "finished").rows
    assert done.rows[-1].iteration == 18


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_model_opens_and_gives_the_error_that_its_run_wrote_down(backend):
    finished = reading.read(EARLIER / backend / "finished")
    data = small_data_()
    for model in (load(finished.path / "model.keras"), keras.models.load_model(finished.path / "model.keras")):
        wrong = model.predict(data.x_test, verbose=0).argmax(axis=1) != data.y_test
        assert 100 * wrong.mean() == pytest.approx(finished.results.test_error, abs=1e-3)

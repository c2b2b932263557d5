"""Training on photographs: `recipes/imagenet.py` as a user runs it, from a class folder or TensorFlow Datasets."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import run_json, run_python
from photograph_files import prepare, write_folder

from resnet_keras import InputOutput, InvalidValue, Recipe, Stopped, imagenet, run
from resnet_keras.data.photographs import batches as photographs
from resnet_keras.data.photographs.batches import CentreCrops
from resnet_keras.runs import reading
from resnet_keras.spec.augmentation import PaddedCrop
from resnet_keras.spec.paper_recipes import IMAGENET
from resnet_keras.training import loop

SIZE = 32
RECIPE = replace(IMAGENET, iterations=6, batch_size=6, learning_rate=0.01, evaluate_every=3)
NET = imagenet(18, num_classes=3, image_size=SIZE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("photographs") / "flowers")


@pytest.fixture(scope="module")
def straight(folder, tmp_path_factory):
    return run(NET, RECIPE, photographs.load(folder, SIZE), seed=1, out=tmp_path_factory.mktemp("straight") / "run")


def weights(done):
    return keras.models.load_model(done.path / reading.MODEL).get_weights()


def test_a_run_says_what_it_was_trained_on(straight):
    assert [row.iteration for row in straight.rows] == [3, 6]
    data = straight.settings["data"]
    assert (data["name"], data["train_images"], data["validation_images"], data["test_images"]) == ("flowers", 39, 6, 0)
    assert straight.results.test_error is None
    assert straight.results.validation_error == straight.rows[-1].validation_error
    assert straight.recipe == RECIPE


def test_the_validation_error_is_that_of_centre_crops(straight, folder):
    model = keras.models.load_model(straight.path / reading.MODEL)
    (images, labels), *_ = photographs.load(folder, SIZE).validation_batches()
    wrong = np.argmax(model.predict(images, verbose=0), axis=1) != labels
    assert straight.results.validation_error == pytest.approx(100 * wrong.mean(), abs=1e-3)


def test_it_goes_on_where_it_was_interrupted(straight, folder, tmp_path, monkeypatch):
    real, calls = loop.Watch.on_train_batch_end, []

    def interrupted(self, *arguments, **named):
        calls.append(None)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGTERM)
        real(self, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Watch, "on_train_batch_end", interrupted)
        with pytest.raises(Stopped):
            run(NET, RECIPE, photographs.load(folder, SIZE), seed=1, out=tmp_path / "run")
    # The mean of the photographs comes from the checkpoint, not from reading them again.
    monkeypatch.setattr(photographs.Photographs, "mean", None)
    done = run(NET, RECIPE, photographs.load(folder, SIZE), seed=1, out=tmp_path / "run")
    assert [row[:6] for row in done.rows] == [row[:6] for row in straight.rows]
    for mine, other in zip(weights(done), weights(straight), strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.any_backend
def test_tensorflow_datasets_are_trained_on(folder, tmp_path):
    """The folder as TensorFlow Datasets has stored it, in an order of its own."""
    pytest.importorskip("array_record")
    target = prepare(tmp_path / "tfds", folder, "array_record")
    data = photographs.load(target, SIZE)
    done = run(NET, replace(RECIPE, iterations=3), data, seed=1, out=tmp_path / "run")
    assert done.settings["data"]["source"] == "TensorFlow Datasets imagenet2012/5.1.0"
    assert (len(done.rows), done.settings["data"]["train_images"]) == (1, 39)
    np.testing.assert_allclose(
        keras.models.load_model(done.path / reading.MODEL).get_layer("mean").mean,
        photographs.load(folder, SIZE).mean().reshape(1, 1, 1, 3),
        rtol=1e-5,
    )


def test_an_augmentation_that_is_not_for_the_images_is_refused(folder, small_data):
    with pytest.raises(InvalidValue, match="resized and cropped"):
        photographs.load(folder, SIZE).stream(4, 0, PaddedCrop(4))
    with pytest.raises(InvalidValue, match="padded and cropped"):
        small_data.stream(4, 0, RECIPE.augmentation)


def test_the_recipe_as_a_user_runs_it(folder, tmp_path):
    damaged = tmp_path / "flowers"
    for file in sorted(folder.rglob("*.JPEG")):
        copy = damaged / file.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    (bad,) = sorted((damaged / "train" / "n02").iterdir())[:1]
    bad.write_bytes(bad.read_bytes()[:200])
    arguments = ["recipes/imagenet.py", "--depth", "18", "--plain", "--recipe", "modern", "--data-dir", str(damaged)]
    arguments += ["--image-size", "32", "--iterations", "2", "--batch-size", "4", "--accumulate", "2", "--seed", "2"]
    arguments += ["--out", str(tmp_path / "run")]
    failed = run_python(*arguments)
    assert failed.returncode == 4, failed.stderr
    assert "Traceback" not in failed.stderr
    assert str(bad) in failed.stderr.splitlines()[-1]  # TensorFlow prints lines of its own first

    done = run_python(*arguments, "--skip-bad", "1")
    assert done.returncode == 0, done.stderr
    settings = run_json(tmp_path / "run")
    assert settings["data"]["skipped"] == [f"train/n02/{bad.name}"]
    assert settings["data"]["train_images"] == 38
    assert settings["architecture"]["name"] == "plain-18"
    assert settings["architecture"]["stride_in"] == "3x3"
    recipe = Recipe.from_dict(settings["recipe"])
    assert (recipe.batch_size, recipe.accumulate, recipe.label_smoothing) == (4, 2, 0.1)
    assert "1 skipped as damaged" in done.stdout
    assert "--protocol 10-crop" in done.stdout


@pytest.mark.any_backend
def test_a_comparison_system_as_a_user_trains_it(folder, tmp_path):
    arguments = ["recipes/imagenet.py", "--architecture", "bn-inception", "--data-dir", str(folder)]
    refused = run_python(*arguments, "--plain")
    assert refused.returncode == 2
    assert refused.stderr.strip().splitlines() == [
        "imagenet.py: --plain applies only to plain and residual nets. Received: it with --architecture."
    ]
    arguments += ["--image-size", "32", "--iterations", "2", "--batch-size", "4", "--out", str(tmp_path / "run")]
    done = run_python(*arguments)
    assert done.returncode == 0, done.stderr
    settings = run_json(tmp_path / "run")
    assert (settings["architecture"]["kind"], settings["architecture"]["num_classes"]) == ("bn-inception", 3)
    assert settings["recipe"]["schedule"]["kind"] == "exponential"
    assert settings["recipe"]["weight_decay"] == pytest.approx(4e-5)


def test_a_damaged_photograph_met_while_training_is_one_line(tmp_path, monkeypatch):
    """It is not the first to be read, nor read in the main thread, but the message still names it."""
    damaged = write_folder(tmp_path / "flowers")
    for part, recipe in (("val", RECIPE), ("train", replace(RECIPE, iterations=12))):
        bad = sorted((damaged / part / "n03").iterdir())[-1]
        whole = bad.read_bytes()
        bad.write_bytes(whole[:200])
        data = photographs.load(damaged, SIZE)
        with monkeypatch.context() as patch:
            patch.setattr(photographs.Photographs, "mean", lambda self: np.full(3, 120.0))
            patch.setattr(
                photographs.Photographs, "validation_batches", lambda self: CentreCrops(self.validation, SIZE, 1, 1)
            )
            with pytest.raises(InputOutput, match=bad.name) as caught:
                run(NET, recipe, data, seed=1, out=tmp_path / part)
        assert "\n" not in str(caught.value)
        bad.write_bytes(whole)


@pytest.mark.real_photographs
def test_imagenet_photographs_are_learnt(tmp_path):
    """Ten classes, 120 updates: chance is 90 %, and over 1,000 photographs five standard deviations are 5 %."""
    data = photographs.load(Path(os.environ["IMAGENETTE_DIR"]), SIZE)
    recipe = replace(IMAGENET, iterations=120, batch_size=32, learning_rate=0.02, evaluate_every=60)
    done = run(imagenet(18, num_classes=10, image_size=SIZE), recipe, data, seed=0, out=tmp_path / "run")
    assert max(done.results.train_error, done.results.validation_error) < 85

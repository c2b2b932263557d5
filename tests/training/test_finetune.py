"""Fine-tuning: what is frozen stays, old layers learn at a share of the rate, and the result is like any other run."""

import hashlib
from dataclasses import replace

import keras
import numpy as np
import pytest
from conftest import run_json, run_python
from photograph_files import write_folder

import resnet_keras
from resnet_keras import InvalidValue, OtherRun, Recipe, build, cifar10, features
from resnet_keras.experiments.finetune import finetune, read
from resnet_keras.nets.build import subtract_mean
from resnet_keras.spec.augmentation import PaddedCrop
from resnet_keras.spec.finetune import FineTune
from resnet_keras.spec.schedules import Steps

OLD = cifar10(8, num_classes=5, image_size=8)
RECIPE = Recipe(
    iterations=1,
    schedule=Steps(()),
    batch_size=6,
    learning_rate=0.1,
    momentum=0.0,
    weight_decay=0.0,
    augmentation=PaddedCrop(0),
    evaluate_every=1,
)


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """A net of five classes whose mean and normalisations are not what `build` begins with."""
    path, model = tmp_path_factory.mktemp("old") / "old.keras", build(OLD, seed=1)
    subtract_mean(model, np.array([100.0, 110.0, 120.0]))
    random = np.random.default_rng(5)
    for weight in model.weights:
        if weight.path.endswith(("gamma", "beta", "moving_mean", "moving_variance")):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
    resnet_keras.save(model, path)
    return path


def by_layer(model):
    return {layer.name: [np.asarray(array) for array in layer.get_weights()] for layer in model.layers if layer.weights}


def changed(before, after):
    return {name for name in before if any(not np.array_equal(*pair) for pair in zip(before[name], after[name],
            strict=True))}  # fmt: skip


@pytest.mark.parametrize(
    ("freeze", "stages", "trained"),
    [
        ("all-but-head", 0, ()),
        ("stages", 2, ("conv4",)),
        ("none", 0, ("conv1", "conv2", "conv3", "conv4")),
    ],
)
def test_what_is_frozen_keeps_its_numbers_and_its_averages(tmp_path, small_data, old, freeze, stages, trained):
    run = finetune(old, small_data, recipe=RECIPE, freeze=freeze, stages=stages, seed=3, out=tmp_path / "run")
    before, after = by_layer(resnet_keras.load(old)), by_layer(resnet_keras.load(run.path / "model.keras"))
    assert before.pop("predictions")[0].shape == (64, 5)
    assert after.pop("predictions")[0].shape == (64, 3)
    expected = {name for name in before if name.split("_")[0] in trained}
    assert changed(before, after) == expected
    assert run.settings["architecture"]["num_classes"] == 3
    assert run.settings["recipe"]["finetune"]["weights"] == hashlib.sha256(old.read_bytes()).hexdigest()
    assert keras.models.load_model(run.path / "model.keras").get_layer("conv1_bn").trainable


def test_old_layers_learn_at_a_share_of_the_rate(tmp_path, small_data, old):
    """One update without momentum: each number moves by its rate times its gradient, and the gradient is the same."""
    steps = {}
    for share in (1.0, 0.25):
        run = finetune(old, small_data, recipe=RECIPE, old_rate=share, seed=3, out=tmp_path / f"run-{share}")
        after = by_layer(resnet_keras.load(run.path / "model.keras"))
        before = by_layer(resnet_keras.load(old)) | {
            "predictions": by_layer(build(replace(OLD, num_classes=3), seed=3))["predictions"]
        }
        steps[share] = {name: after[name][0] - before[name][0] for name in ("conv1_conv", "predictions")}
    np.testing.assert_allclose(steps[0.25]["predictions"], steps[1.0]["predictions"], atol=1e-6)
    np.testing.assert_allclose(steps[0.25]["conv1_conv"], 0.25 * steps[1.0]["conv1_conv"], atol=1e-6)
    assert np.abs(steps[1.0]["conv1_conv"]).max() > 1e-4


def test_a_run_that_fine_tunes_goes_on_from_its_checkpoint(tmp_path, small_data, old):
    recipe = replace(RECIPE, momentum=0.9, iterations=2)
    whole = finetune(old, small_data, recipe=recipe, freeze="stages", stages=1, seed=3, out=tmp_path / "whole")
    finetune(
        old, small_data, recipe=replace(recipe, iterations=1), freeze="stages", stages=1, seed=3, out=tmp_path / "parts"
    )
    parts = finetune(old, small_data, recipe=recipe, freeze="stages", stages=1, seed=3, out=tmp_path / "parts")
    assert [row[:6] for row in parts.rows] == [row[:6] for row in whole.rows]
    assert changed(*(by_layer(resnet_keras.load(run.path / "model.keras")) for run in (whole, parts))) == set()
    with pytest.raises(OtherRun):  # from other weights
        finetune(whole.path, small_data, recipe=recipe, freeze="stages", stages=1, seed=3, out=tmp_path / "parts")
    with pytest.raises(OtherRun):  # with nothing frozen
        finetune(old, small_data, recipe=recipe, seed=3, out=tmp_path / "parts")


@pytest.mark.any_backend
def test_features_are_what_the_layer_computes(old, small_data):
    model, images = resnet_keras.load(old), small_data.x_test[:4]
    found = keras.ops.convert_to_numpy(features(model)(images))
    kernel, bias = model.get_layer("predictions").get_weights()
    logits = found @ kernel + bias
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = keras.ops.convert_to_numpy(model(images))
    np.testing.assert_allclose(exponents / exponents.sum(axis=1, keepdims=True), expected, atol=1e-5)
    assert features(model, "conv3_block1_out").output_shape == (None, 4, 4, 32)
    with pytest.raises(InvalidValue, match="Nearest: conv3_block1_out"):
        features(model, "conv3_block_out")


@pytest.mark.any_backend
def test_features_of_a_layer_inside_a_nested_model():
    image = keras.Input((4,))
    inner_image = keras.Input((4,))
    middle = keras.layers.Dense(3, name="middle")
    inner = keras.Model(inner_image, keras.layers.Dense(2)(middle(inner_image)), name="inner")
    model = keras.Model(image, inner(keras.layers.Rescaling(2.0)(image)))
    x = np.arange(8.0).reshape(2, 4)
    kernel, bias = middle.get_weights()
    found = keras.ops.convert_to_numpy(features(model, "middle")(x))
    np.testing.assert_allclose(found, 2 * x @ kernel + bias, rtol=1e-5)


@pytest.mark.any_backend
def test_what_cannot_be_frozen_is_one_line(tmp_path, small_data, old):
    with pytest.raises(InvalidValue, match=r"ResNet-8 has 3 stages\. Received: stages=4"):
        finetune(old, small_data, recipe=RECIPE, freeze="stages", stages=4, seed=0, out=tmp_path / "run")
    with pytest.raises(InvalidValue, match="freeze='stages' needs a number"):
        FineTune("", "all-but-head", 1)
    with pytest.raises(InvalidValue, match="old_rate=0"):
        FineTune("", old_rate=0)
    with pytest.raises(InvalidValue, match="given together"):
        resnet_keras.run(OLD, RECIPE, small_data, seed=0, out=tmp_path / "run", start=read(old).model)


@pytest.mark.any_backend
def test_the_program(tmp_path, small_npz, old):
    out = tmp_path / "run"
    options = ["--data-dir", str(small_npz), "--out", str(out), "--iterations", "2", "--batch-size", "6"]
    done = run_python("recipes/finetune.py", str(old), *options, "--freeze", "stages", "1")
    assert done.returncode == 0, done.stderr
    assert "ResNet-8: training error" in done.stdout
    assert run_json(out)["recipe"]["finetune"]["freeze"] == "stages"
    wrong = run_python("recipes/finetune.py", str(old), *options, "--freeze", "stages")
    assert wrong.returncode == 2
    assert "--freeze is one of none, stages, all-but-head; stages is followed by a number" in wrong.stderr
    estimate = run_python("recipes/finetune.py", str(old), *options, "--freeze", "all-but-head", "--estimate")
    assert (estimate.returncode, estimate.stderr.count("\n")) == (2, 1)
    devices = run_python("recipes/finetune.py", str(old), *options, "--devices", "0")
    assert (devices.returncode, devices.stderr.count("\n")) == (2, 1)


@pytest.mark.any_backend
def test_the_program_on_a_folder_of_photographs_of_which_one_is_damaged(tmp_path, old):
    folder, out = write_folder(tmp_path / "flowers", images=3), tmp_path / "run"
    damaged = folder / "train" / "n02" / "001.JPEG"
    damaged.write_bytes(damaged.read_bytes()[:100])
    options = ["--data-dir", str(folder), "--out", str(out), "--iterations", "2", "--batch-size", "4"]
    refused = run_python("recipes/finetune.py", str(old), *options)
    assert refused.returncode == 4
    assert refused.stderr.count("\n") == 1
    assert damaged.name in refused.stderr
    done = run_python("recipes/finetune.py", str(old), *options, "--fresh", "--skip-bad", "1")
    assert done.returncode == 0, done.stderr
    (run,) = tmp_path.glob("run*/model.keras")
    settings = run_json(run.parent)
    assert settings["data"]["skipped"] == ["train/n02/001.JPEG"]
    assert settings["data"]["class_names"] == ["n01", "n02", "n03"]
    assert settings["recipe"]["augmentation"]["shorter_side"] == [256, 480]

"""What labels mean is kept with a run, its net and its file, and compared wherever a net meets data."""

import json
import zipfile
from dataclasses import replace

import keras
import numpy as np
import pytest
from conftest import BACKEND, run_json, run_python, small_arrays, small_data_

from resnet_keras import InvalidValue, OtherRun, Recipe, build, cifar10, load, run, save
from resnet_keras.evaluation import classifier
from resnet_keras.evaluation.protocol import Protocol
from resnet_keras.evaluation.score import score
from resnet_keras.reports.model_card import model_card
from resnet_keras.runs import reading
from resnet_keras.spec.augmentation import PaddedCrop
from resnet_keras.spec.class_names import check_same_classes
from resnet_keras.spec.schedules import Steps
from resnet_keras.training.train import train

pytestmark = pytest.mark.any_backend

NET = replace(cifar10(8), image_size=8, num_classes=3)
RECIPE = Recipe(iterations=2, schedule=Steps(()), batch_size=6, learning_rate=0.01, augmentation=PaddedCrop(1))
NAMES = ("cat", "dog", "wolf")
OTHERS = ("dog", "wolf", "fox")


def named(names, **changed):
    return replace(small_data_(), class_names=names, **changed)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return run(NET, RECIPE, named(NAMES), seed=0, out=tmp_path_factory.mktemp("named") / "run")


def test_folder_card_and_file_name_the_classes(done):
    assert run_json(done.path)["data"]["class_names"] == list(NAMES)
    assert "| classes | cat, dog, wolf |" in model_card(done)
    file = done.path / reading.MODEL
    with zipfile.ZipFile(file) as archive:
        assert json.loads(archive.read("metadata.json"))["class_names"] == list(NAMES)
    assert load(file).class_names == NAMES
    images = small_data_().x_test
    bare = keras.models.load_model(file).predict(images, verbose=0)
    np.testing.assert_allclose(load(file).predict(images, verbose=0), bare, atol=1e-5)


def test_a_net_is_tested_on_its_own_classes_only(done):
    net = classifier.read(done.path)
    assert net.class_names == NAMES
    for names in (NAMES, None, ("0", "1", "2")):  # none of these contradicts the net's
        score(net, named(names), Protocol("1-crop"))
    with pytest.raises(InvalidValue, match="ResNet-8 with cat, dog, wolf; small with dog, wolf, fox"):
        score(net, named(OTHERS), Protocol("1-crop"))
    score(replace(net, class_names=None), named(OTHERS), Protocol("1-crop"))


@pytest.mark.parametrize("recipe", ["predict.py", "export.py"])
def test_the_programs_compare_them_too(recipe, done, tmp_path):
    words: list[str] = []
    if recipe == "export.py":
        if BACKEND != "torch":
            pytest.skip("once is enough")
        pytest.importorskip("onnx")
        words = ["--to", "onnx"]
    np.savez(tmp_path / "data.npz", **small_arrays(), class_names=np.array(OTHERS))
    out = tmp_path / "net.onnx"
    refused = run_python(
        *(f"recipes/{recipe}", str(done.path), *words, "--data-dir", str(tmp_path / "data.npz"), "--out", str(out))
    )
    assert refused.returncode == 2, refused.stderr
    assert "ResNet-8 with cat, dog, wolf" in refused.stderr
    assert not out.exists()


def test_a_run_goes_on_with_a_renamed_file_but_not_with_other_classes(done):
    longer = replace(RECIPE, iterations=3)
    with pytest.raises(OtherRun) as caught:
        run(NET, longer, named(OTHERS), seed=0, out=done.path)
    assert {difference.field for difference in caught.value.differences} == {f"data.class_names[{i}]" for i in range(3)}
    with pytest.raises(OtherRun) as caught:  # other images
        run(NET, longer, named(NAMES, y_test=small_data_().y_test[::-1].copy()), seed=0, out=done.path)
    assert [difference.field for difference in caught.value.differences] == ["data.fingerprint"]
    assert run(NET, longer, named(None, name="b", source="b.npz"), seed=0, out=done.path).rows[-1].iteration == 3


def test_a_net_is_trained_further_on_its_own_classes_only(tmp_path):
    model = build(NET)
    model.class_names = NAMES
    save(model, tmp_path / "net.keras")
    again = load(tmp_path / "net.keras")
    with pytest.raises(InvalidValue, match="cat, dog, wolf; small with dog, wolf, fox"):
        train([again], RECIPE, named(OTHERS), [])


def test_the_first_class_that_differs_is_told_of_many():
    names = tuple(f"n{number:04}" for number in range(1000))
    with pytest.raises(InvalidValue, match=r"label 7 is n0007 for net and n0008 in data; other labels that differ: 1"):
        check_same_classes("net", names, "data", (*names[:7], names[8], names[7], *names[9:]))
    with pytest.raises(InvalidValue, match=r"net with 1,000 \(n0000, .*data with 3 \(cat, dog, wolf\)"):
        check_same_classes("net", names, "data", NAMES)
    with pytest.raises(InvalidValue, match="the same classes in the same order"):
        check_same_classes("net", NAMES, "data", NAMES[::-1])

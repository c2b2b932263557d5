"""Protocols, the fully convolutional form, ensembles and errors, each against a computation by hand."""

import json

import keras
import numpy as np
import pytest
from baseline_nets import ONE_OUTPUT
from conftest import run_python, small_arrays
from keras import layers
from photograph_files import write_folder

from resnet_keras import InputOutput, InvalidValue, build, imagenet
from resnet_keras.data.photographs.sources import load_split
from resnet_keras.data.photographs.views import MultiScale, TenCrop
from resnet_keras.data.small.images import image_data
from resnet_keras.evaluation import cache as cached
from resnet_keras.evaluation import classifier
from resnet_keras.evaluation.cache import Cache
from resnet_keras.evaluation.classifier import Classifier
from resnet_keras.evaluation.error_rates import averaged, errors, wilson
from resnet_keras.evaluation.protocol import Protocol
from resnet_keras.evaluation.score import score
from resnet_keras.nets.fully_convolutional import fully_convolutional

Image = pytest.importorskip("PIL.Image")

EVALUATE = "recipes/evaluate.py"


def picture(seed, height, width):
    blobs = np.random.default_rng(seed).integers(0, 256, (5, 5, 3)).astype(np.uint8)
    return Image.fromarray(blobs).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("photographs") / "flowers"
    for label in range(3):
        of = root / "val" / f"n{label}"
        of.mkdir(parents=True)
        for number in range(4):
            picture(10 * label + number, 48, 48 + 16 * (number % 2)).save(of / f"{number}.png")
    return root


def small_net(size=16, seed=0, classes=3):
    """Convolutions without padding: the score at each position is that of a window of 16 x 16 pixels."""
    keras.utils.set_random_seed(seed)
    image = x = keras.Input((size, size, 3))
    x = layers.Rescaling(1 / 128, -1)(x)
    for filters in (4, 6):
        x = layers.Conv2D(filters, 4, strides=4, activation="relu", data_format="channels_last")(x)
    x = layers.GlobalAveragePooling2D(data_format="channels_last")(x)
    x = layers.Dense(classes, name="logits", bias_initializer="random_normal")(x)
    return keras.Model(image, layers.Activation("softmax")(x), name=f"small-{seed}")


def as_classifier(model):
    return Classifier(model.name, model, f"{model.name}", "raw")


def predict(model, x):
    return np.asarray(model.predict_on_batch(np.asarray(x)))


def random_images(*shape):
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize("count", [9, 33, 257])
def test_the_last_batch_is_filled_up_by_less_than_an_eighth_and_changes_no_score(count, monkeypatch):
    x, y = random_images(count, 16, 16, 3), (np.arange(count) % 3).astype(np.int32)
    data = image_data(name="images", source="", train=(x, y), test=(x, y), num_classes=3)
    model, computed = small_net(), []
    predict_on_batch = keras.Model.predict_on_batch
    monkeypatch.setattr(
        keras.Model, "predict_on_batch", lambda self, x: computed.append(len(x)) or predict_on_batch(self, x)
    )
    scores, labels = score(as_classifier(model), data, Protocol("1-crop"))
    assert count <= sum(computed) <= count * 9 / 8
    np.testing.assert_allclose(scores, predict_on_batch(model, x), rtol=1e-5)
    assert (labels == y).all()


# The fully convolutional form.


@pytest.mark.parametrize("net", [imagenet(18, num_classes=10, image_size=64), imagenet(50, None, 10, image_size=64)])
def test_at_its_own_size_the_fully_convolutional_form_is_the_net(net):
    model = build(net, seed=3)
    x = random_images(4, 64, 64, 3)
    norms = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    for norm in norms:  # statistics of these images, or all probabilities are 0 or 1
        norm.momentum = 0.0
    model(x, training=True)
    expected = predict(model, x)
    assert np.ptp(expected, axis=0).max() > 1e-3
    form = fully_convolutional(model)
    np.testing.assert_allclose(predict(form, x), expected, atol=2e-5)
    assert form.input_shape == (None, None, None, 3)
    assert predict(form, random_images(2, 96, 64, 3)).shape == (2, 10)
    assert not any(isinstance(layer, layers.Dense) for layer in form.layers)


def test_at_larger_sizes_it_is_the_mean_of_all_windows():
    """Without padding and at a stride of 16 the windows can be cut by hand: 3 x 2 of them."""
    model = small_net()
    logits = keras.Model(model.input, model.get_layer("logits").output)
    x = random_images(2, 48, 32, 3)
    windows = [x[:, top : top + 16, left : left + 16] for top in (0, 16, 32) for left in (0, 16)]
    mean = np.mean([predict(logits, window) for window in windows], axis=0)
    expected = np.exp(mean) / np.exp(mean).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predict(fully_convolutional(model), x), expected, atol=1e-5)


def on_windows(model, x, size, strides):
    """By hand: the softmax of the mean logits over all windows of the image."""
    logits = keras.Model(model.input, model.layers[-1].input)
    starts = range(0, x.shape[1] - size + 1, strides)
    mean = np.mean(
        [predict(logits, x[:, top : top + size, left : left + size]) for top in starts for left in starts], 0
    )
    return np.exp(mean) / np.exp(mean).sum(axis=1, keepdims=True)


FOREIGN = {
    "an activation": [layers.Dense(5, "relu")],
    "activations and dropout": [layers.Dense(6, "tanh"), layers.Dropout(0.5), layers.Dense(4), layers.ReLU()],
    "batch normalisation": [layers.Dense(6), layers.BatchNormalization(), layers.PReLU("normal")],
    "two dense layers": [layers.Dense(5)],
}


@pytest.mark.parametrize("before", ["average", "flatten"])
@pytest.mark.parametrize("hidden", FOREIGN)
@pytest.mark.parametrize("last", ["softmax", "a layer"])
def test_dense_layers_keep_their_activations(hidden, before, last):
    """Others' nets: at their own size the form gives what they give; the map has 4 x 4 pixels and 6 channels."""
    keras.utils.set_random_seed(1)
    image = x = keras.Input((16, 16, 3))
    x = layers.Rescaling(1 / 128, -1)(x)
    x = layers.Conv2D(6, 4, strides=4, activation="relu", data_format="channels_last")(x)
    pool = layers.GlobalAveragePooling2D if before == "average" else layers.Flatten
    x = pool(data_format="channels_last")(x)
    for layer in FOREIGN[hidden]:
        x = type(layer).from_config(layer.get_config())(x)
    x = layers.Dense(3, activation="softmax" if last == "softmax" else None, bias_initializer="normal")(x)
    model = keras.Model(image, x if last == "softmax" else layers.Softmax()(x), name="foreign")
    shown = random_images(3, 16, 16, 3)
    expected = predict(model, shown)
    assert np.ptp(expected, axis=0).max() > 1e-3
    form = fully_convolutional(model)
    np.testing.assert_allclose(predict(form, shown), expected, atol=1e-5)
    assert predict(form, random_images(2, 24, 20, 3)).shape == (2, 3)


def test_a_flattened_map_is_seen_window_by_window():
    """One pool and no padding: windows of 16 pixels, 4 apart, can be cut from the image."""
    keras.utils.set_random_seed(2)
    image = x = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 1, activation="relu", data_format="channels_last")(layers.Rescaling(1 / 128, -1)(x))
    x = layers.MaxPooling2D(4, data_format="channels_last")(x)
    x = layers.Dense(5, "relu")(layers.Flatten(data_format="channels_last")(x))
    model = keras.Model(image, layers.Softmax()(layers.Dense(3)(x)))
    shown = random_images(2, 24, 24, 3)
    np.testing.assert_allclose(predict(fully_convolutional(model), shown), on_windows(model, shown, 16, 4), atol=1e-5)


def test_a_spatial_pyramid_is_pooled_in_each_window():
    """PReLU-net's, {7, 3, 2, 1} on 14 x 14 pixels; the image itself is the map, and each window is cut and pooled."""
    keras.utils.set_random_seed(3)
    image = keras.Input((14, 14, 3))
    x = layers.Rescaling(1 / 128, -1)(image)
    levels = [(7, 2, 2), (3, 5, 4), (2, 7, 7), (1, 14, 14)]
    pooled = [layers.MaxPooling2D(size, strides=apart, data_format="channels_last")(x) for _, size, apart in levels]
    assert [one.shape[1] for one in pooled] == [bins for bins, _, _ in levels]
    x = layers.Concatenate()([layers.Flatten(data_format="channels_last")(one) for one in pooled])
    x = layers.PReLU("normal")(layers.Dense(8, bias_initializer="normal")(x))
    model = keras.Model(image, layers.Softmax()(layers.Dense(3)(x)))
    for size in (14, 17):
        shown = random_images(2, size, size, 3)
        np.testing.assert_allclose(
            predict(fully_convolutional(model), shown), on_windows(model, shown, 14, 1), atol=1e-5
        )


@pytest.mark.any_backend  # the rewriting is the same on all; test_portability.py compares what layers compute
@pytest.mark.parametrize("name", ONE_OUTPUT)
def test_the_comparison_systems_have_a_fully_convolutional_form(name):
    net = ONE_OUTPUT[name]
    model = build(net, seed=3)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    model(random_images(4, net.image_size, net.image_size, 3), training=True)
    shown = random_images(3, net.image_size, net.image_size, 3)
    form = fully_convolutional(model)
    np.testing.assert_allclose(predict(form, shown), predict(model, shown), atol=2e-5)
    wide = random_images(2, net.image_size + 32, net.image_size, 3)
    assert predict(form, wide).shape == (2, net.num_classes)


def test_nets_without_a_fully_convolutional_form_are_refused():
    image = keras.Input((8, 8, 3))
    x = layers.GlobalMaxPooling2D(data_format="channels_last")(image)
    largest = keras.Model(image, layers.Dense(3, activation="softmax")(x), name="largest")
    with pytest.raises(InvalidValue, match=r"global average pooling.*'largest'"):
        fully_convolutional(largest)
    from resnet_keras import cifar10

    with pytest.raises(InvalidValue, match="images of any size"):  # it subtracts a mean for each pixel
        fully_convolutional(build(cifar10(8)))


# Protocols.


def test_ten_crop_scores_are_the_mean_of_ten_probabilities(folder):
    model, split = small_net(), load_split(folder, "val")
    scores, labels = score(as_classifier(model), split, Protocol("10-crop"))
    for index in (0, 5, 11):
        image, label = split.photograph(index)
        by_hand = predict(model, TenCrop(16).of(image)).mean(axis=0)
        np.testing.assert_allclose(scores[index], by_hand, atol=1e-5)
        assert labels[index] == label == index // 4


def test_multi_scale_scores_are_the_mean_over_scales_and_mirrors(folder):
    model, split = small_net(), load_split(folder, "val")
    scores, _ = score(as_classifier(model), split, Protocol("multi-scale", (32, 48)))
    form = fully_convolutional(model)
    for index in (0, 1):  # one square and one wide
        image, _ = split.photograph(index)
        by_hand = np.mean([predict(form, view[None])[0] for view in MultiScale((32, 48)).of(image)], axis=0)
        np.testing.assert_allclose(scores[index], by_hand, atol=1e-5)


def test_images_in_memory_are_their_own_single_view(small_data):
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.UpSampling2D(2), small_net(16)])
    scores, labels = score(as_classifier(model), small_data, Protocol("1-crop"))
    np.testing.assert_allclose(scores, predict(model, small_data.x_test), atol=1e-5)
    np.testing.assert_array_equal(labels, small_data.y_test)
    with pytest.raises(InvalidValue, match="Received: 10-crop"):
        score(as_classifier(model), small_data, Protocol("10-crop"))


def test_what_does_not_fit_is_refused(folder):
    split = load_split(folder, "val")
    with pytest.raises(InvalidValue, match=r"with 4, flowers with 3"):
        score(as_classifier(small_net(classes=4)), split, Protocol("1-crop"))
    broken = small_net()
    broken.get_layer("logits").set_weights([np.full((6, 3), np.nan), np.zeros(3)])
    with pytest.raises(InvalidValue, match="finite"):
        score(as_classifier(broken), split, Protocol("1-crop"))
    for name, scales in (("5-crop", None), ("10-crop", (32,)), ("multi-scale", (0,))):
        with pytest.raises(InvalidValue):
            Protocol(name, scales)


# Errors, ensembles.


def test_errors_by_hand():
    scores = np.array([[0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1]] * 4)
    # Ranks of labels 0, 1, 5 and 6: 0, 1, 5 (after 0.3, 0.2 and three of 0.1) and 6
    result = errors(scores, np.array([0, 1, 5, 6]))
    assert (result.images, result.top1.percent, result.top5.percent) == (4, 75.0, 50.0)
    assert errors(scores[:, :5], np.array([0, 1, 4, 4])).top5 is None


def test_wilson_interval_is_scipys():
    binomtest = pytest.importorskip("scipy.stats").binomtest
    for wrong, images in ((0, 10), (1, 10), (280, 1000), (12_515, 50_000), (7, 7)):
        theirs = binomtest(wrong, images).proportion_ci(method="wilson")
        got = wilson(wrong, images)
        assert got.percent == pytest.approx(100 * wrong / images)
        assert (got.low, got.high) == pytest.approx((100 * theirs.low, 100 * theirs.high), abs=1e-4)


def test_an_ensemble_of_one_is_the_net_and_weights_count():
    one, two = np.array([[0.8, 0.2]]), np.array([[0.1, 0.9]])
    np.testing.assert_array_equal(averaged([one], [1.0]), one)
    np.testing.assert_array_equal(averaged([one], [7.0]), one)
    np.testing.assert_allclose(averaged([one, two], [1, 3]), [[0.275, 0.725]])
    np.testing.assert_allclose(averaged([one, two], [1e308, 1e308]), [[0.45, 0.55]])  # the weights' sum is infinite
    for weights in ([1.0], [0.0, 0.0], [-1.0, 2.0], [float("nan"), 1.0]):
        with pytest.raises(InvalidValue):
            averaged([one, two], weights)


def test_scores_are_kept_and_a_damaged_file_is_replaced(folder, tmp_path, monkeypatch):
    split, net, cache = load_split(folder, "val"), as_classifier(small_net()), Cache(tmp_path / "cache")
    first, _ = cache.score(net, split, Protocol("10-crop"))
    calls = []
    monkeypatch.setattr(cached, "score", lambda *a, **k: calls.append(a) or score(*a, **k))
    again, labels = cache.score(net, split, Protocol("10-crop"))
    np.testing.assert_array_equal(first, again)
    assert labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert not calls
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    cache.score(net, split, Protocol("10-crop"))
    cache.score(net, split, Protocol("10-crop"), limit=3)
    cache.score(net, split, Protocol("1-crop"))
    cache.score(as_classifier(small_net(seed=1)), split, Protocol("10-crop"))
    assert len(calls) == 4
    assert len(list((tmp_path / "cache").iterdir())) == 4


# Other classifiers, files.


def test_kept_scores_know_photographs_by_what_is_in_them(folder, tmp_path):
    """The same names and the same numbers of bytes, but other pixels."""
    copy = tmp_path / "copy"
    for file in folder.rglob("*.*"):
        (copy / file.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
        (copy / file.relative_to(folder)).write_bytes(file.read_bytes())
    net, cache = as_classifier(small_net()), Cache(tmp_path / "cache")
    before = load_split(copy, "val")
    first, _ = cache.score(net, before, Protocol("1-crop"))
    one, two = (before.reader.root / name for name in before.reader.names[:2])
    size = max(one.stat().st_size, two.stat().st_size) + 9  # decoders ignore what follows a picture
    for path in (one, two):
        path.write_bytes(path.read_bytes().ljust(size, b"\0"))
    exchanged = load_split(copy, "val")
    cache.score(net, exchanged, Protocol("1-crop"))
    known = exchanged.contents()
    contents = one.read_bytes(), two.read_bytes()
    one.write_bytes(contents[1]), two.write_bytes(contents[0])
    after = load_split(copy, "val")
    assert after.fingerprint == exchanged.fingerprint
    assert after.contents() != known
    again, _ = cache.score(net, after, Protocol("1-crop"))
    np.testing.assert_allclose(again[[1, 0]], first[:2], atol=1e-6)


def test_other_keras_classifiers_with_their_own_preprocessing(folder, tmp_path):
    net = keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, weights=None, classes=3)
    net.save(tmp_path / "net.keras")
    split = load_split(folder, "val")
    scores, _ = score(classifier.read(tmp_path / "net.keras", "tf"), split, Protocol("10-crop"), limit=2)
    views = np.stack(TenCrop(32).of(split.photograph(0)[0]))
    theirs = keras.applications.mobilenet_v2.preprocess_input(views.astype("float32"))
    np.testing.assert_allclose(scores[0], predict(net, theirs).mean(axis=0), atol=1e-5)
    assert score(classifier.read(tmp_path / "net.keras", "tf"), split, Protocol("multi-scale", (32,)), limit=2)


def test_logits_get_a_softmax(tmp_path):
    model = small_net()
    keras.Model(model.input, model.get_layer("logits").output).save(tmp_path / "logits.keras")
    x = random_images(2, 16, 16, 3)
    np.testing.assert_allclose(
        predict(classifier.read(tmp_path / "logits.keras").model, x), predict(model, x), atol=1e-6
    )


def test_files_that_are_no_classifier(tmp_path):
    (tmp_path / "text.keras").write_text("x")
    keras.Sequential([keras.Input((4,)), layers.Dense(2)]).save(tmp_path / "dense.keras")
    image = keras.Input((8, 8, 3))
    pooled = layers.GlobalAveragePooling2D(data_format="channels_last")(image)
    far_out = keras.Model(image, layers.Dense(3, activation="sigmoid")(pooled))
    far_out.layers[-1].set_weights([np.zeros((3, 3)), np.array([99.0, -99.0, -99.0])])  # sums to 1
    far_out.save(tmp_path / "sigmoid.keras")
    for name in ("absent.keras", "text.keras", "dense.keras", "sigmoid.keras"):
        with pytest.raises((InputOutput, InvalidValue), match=name) as caught:
            classifier.read(tmp_path / name)
        assert "\n" not in str(caught.value)
    (tmp_path / "cut.keras").write_bytes((tmp_path / "sigmoid.keras").read_bytes()[:-100])
    for name in ("text.keras", "cut.keras"):
        with pytest.raises(InputOutput, match=rf"zip archive.*{name}"):
            classifier.read(tmp_path / name)


def test_others_models_are_classifiers_or_one_line(tmp_path):
    """With dictionaries, an operation at the end or no fixed size, a model still gives the same three probabilities."""
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3), name="image")
    pooled = layers.GlobalAveragePooling2D(data_format="channels_last")(image)
    softmax, logits = layers.Dense(3, activation="softmax"), layers.Dense(3)
    any_size = keras.Input((None, None, 3))
    made = {
        "plain": keras.Model(image, softmax(pooled)),
        "dictionary": keras.Model({"image": image}, {"scores": softmax(pooled)}),
        "any_size": keras.Model(
            any_size, softmax(layers.GlobalAveragePooling2D(data_format="channels_last")(any_size))
        ),
        "operation": keras.Model(image, keras.ops.softmax(logits(pooled))),
        "nested": keras.Model(image, keras.Sequential([logits])(pooled)),
        "two": keras.Model(image, [softmax(pooled), logits(pooled)]),
        "relu": keras.Model(image, keras.ops.relu(logits(pooled))),
        "log": keras.Model(image, keras.ops.log(softmax(pooled))),
        "not_built": keras.Sequential([layers.Flatten(), layers.Dense(3, activation="softmax")]),
    }
    x = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3)).astype(np.float32) / 64
    for name, model in made.items():
        model.save(tmp_path / f"{name}.keras")
        if name in ("two", "relu", "log", "not_built"):
            with pytest.raises(InvalidValue, match=name) as caught:
                classifier.read(tmp_path / f"{name}.keras")
            assert "\n" not in str(caught.value)
        else:
            like = made["plain"] if name in ("plain", "dictionary", "any_size") else made["operation"]
            read = classifier.read(tmp_path / f"{name}.keras").model
            np.testing.assert_allclose(predict(read, x), predict(like, x), rtol=1e-4, atol=1e-6)


def test_what_another_net_raises_is_one_line(small_data, monkeypatch):
    image = keras.Input((8, 8, 3))
    net = as_classifier(keras.Model(image, layers.Dense(3, activation="softmax")(layers.Flatten()(image))))

    def failing(*_):
        raise KeyError

    monkeypatch.setattr(keras.Model, "predict_on_batch", failing)
    with pytest.raises(InvalidValue, match=r"images that it is tested on.*KeyError") as caught:
        score(net, small_data, Protocol("1-crop"))
    assert "\n" not in str(caught.value)


# The recipe.


@pytest.mark.any_backend
def test_damaged_photographs_are_left_out_as_in_training(tmp_path):
    own = write_folder(tmp_path / "own")
    bad = own / "val" / "n03" / "000.JPEG"
    bad.write_bytes(bad.read_bytes()[:300])
    small_net().save(tmp_path / "net.keras")
    arguments = ["recipes/evaluate.py", str(tmp_path / "net.keras"), "--data-dir", str(own)]
    refused = run_python(*arguments)
    assert refused.returncode == 4
    done = run_python(*arguments, "--skip-bad", "1")
    assert done.returncode == 0, done.stderr
    assert "5 images" in done.stdout


def test_the_recipe_tests_an_ensemble_and_writes_json(folder, tmp_path):
    files = []
    for seed in (0, 1):
        files.append(tmp_path / f"{seed}.keras")
        small_net(seed=seed).save(files[-1])
    report = tmp_path / "out" / "report.json"
    arguments = [*map(str, files), "--data-dir", str(folder), "--weights", "1", "3", "--json", str(report)]
    done = run_python(EVALUATE, *arguments, "--protocol", "multi-scale", "--scales", "16,32", "--limit", "6")
    assert done.returncode == 0, done.stderr
    assert "ensemble" in done.stdout
    said = json.loads(report.read_text())
    assert (said["protocol"], said["scales"], said["images"], said["top5_error"]) == ("multi-scale", [16, 32], 6, None)
    split, protocol = load_split(folder, "val"), Protocol("multi-scale", (16, 32))
    both = [score(as_classifier(small_net(seed=seed)), split, protocol, limit=6) for seed in (0, 1)]
    expected = 0.25 * both[0][0] + 0.75 * both[1][0]
    assert said["top1_error"] == pytest.approx(100 * (expected.argmax(axis=1) != both[0][1]).mean(), abs=1e-3)
    assert [one["weight"] for one in said["models"]] == [1, 3]
    assert [one["from"] for one in said["models"]] == [file.name for file in files]  # no folder of this machine


def test_the_recipe_tests_arrays(tmp_path):
    np.savez(tmp_path / "small.npz", **small_arrays(size=16))
    small_net().save(tmp_path / "net.keras")
    done = run_python(EVALUATE, str(tmp_path / "net.keras"), "--data-dir", str(tmp_path / "small.npz"))
    assert done.returncode == 0, done.stderr
    assert "30 images" in done.stdout


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("code", "arguments", "text"),
    [
        (2, ["--protocol", "5-crop"], "5-crop"),
        (2, ["--scales", "32,big", "--protocol", "multi-scale"], "32,big"),
        (2, ["--limit", "0"], "--limit 0"),
        (2, ["--preprocessing", "tf", "raw"], "--preprocessing"),
        (2, ["--weights", "1", "2"], "2 weights"),
        (4, ["--data-dir", "absent"], "absent"),
        (4, [], "net.keras"),
    ],
)
def test_bad_input_is_one_line_and_an_exit_code(code, arguments, text, folder, tmp_path):
    if text != "net.keras":
        (tmp_path / "net.keras").touch()
    done = run_python(EVALUATE, str(tmp_path / "net.keras"), "--data-dir", str(folder), *arguments)
    assert done.returncode == code, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert text in done.stderr


def test_scores_that_are_no_numbers_are_refused():
    scores = np.array([[0.2, 0.8], [np.nan, np.nan]])
    with pytest.raises(InvalidValue, match="finite"):
        errors(scores, np.array([1, 0]))

"""`train` against computations by hand, and what it leaves in the run folder."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from conftest import run_json, run_python

import resnet_keras
from resnet_keras import Diverged, InvalidValue, Recipe, build, cifar10, run
from resnet_keras.data.small.images import image_data
from resnet_keras.data.small.stream import Stream
from resnet_keras.experiments.run import run as experiment_run
from resnet_keras.runs import reading
from resnet_keras.runs.writing import RunFolder
from resnet_keras.spec import records
from resnet_keras.spec.augmentation import PaddedCrop
from resnet_keras.spec.schedules import Steps, Warmup
from resnet_keras.training.train import train

RECIPE = Recipe(
    iterations=7,
    schedule=Steps((3, 5)),
    batch_size=6,
    learning_rate=0.01,
    augmentation=PaddedCrop(1),
    evaluate_every=2,
)


@pytest.fixture
def net(small_data):
    return cifar10(8, num_classes=3, image_size=8)


@pytest.fixture
def finished(tmp_path, small_data, net):
    return experiment_run(net, RECIPE, small_data, seed=5, out=tmp_path / "run")


def softmax(logits):
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def linear_classifier(decay):
    image = keras.Input((8, 8, 3))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    l2 = keras.regularizers.L2(decay / 2)
    x = keras.layers.Dense(3, kernel_regularizer=l2, bias_regularizer=l2, kernel_initializer="zeros", name="dense")(x)
    return keras.Model(image, keras.layers.Activation("softmax")(x))


def trained_by_hand(data, rates, decay, smoothing):
    """The weights after each update. v = 0.9 v - rate (gradient + decay w); w = w + v."""
    weights = [np.zeros((192, 3)), np.zeros(3)]
    velocity = [np.zeros((192, 3)), np.zeros(3)]
    stream = Stream(data.x_train, data.y_train, 10, 2, PaddedCrop(0))
    for iteration, rate in enumerate(rates):
        images, labels = stream.batch(iteration)
        inputs = images.reshape(10, -1) / 255
        target = (1 - smoothing) * np.eye(3)[labels] + smoothing / 3
        wrong = (softmax(inputs @ weights[0] + weights[1]) - target) / 10
        for k, gradient in enumerate((inputs.T @ wrong, wrong.sum(axis=0))):
            velocity[k] = 0.9 * velocity[k] - rate * (gradient + decay * weights[k])
            weights[k] = weights[k] + velocity[k]
        yield list(weights)


BY_HAND = Recipe(
    iterations=4,
    schedule=Steps((2, 3)),
    batch_size=10,
    learning_rate=0.01,
    weight_decay=0.1,
    augmentation=PaddedCrop(0),
    evaluate_every=2,
)


@pytest.mark.parametrize(
    "changed",
    [{}, {"label_smoothing": 0.3}, {"accumulate": 2}, {"accumulate": 5, "label_smoothing": 0.1}, {"average_over": 4}],
    ids=str,
)
def test_sgd_with_momentum_and_coupled_weight_decay_by_hand(tmp_path, small_data, changed):
    """A linear classifier, whose gradient takes one line."""
    recipe = replace(BY_HAND, **changed)
    model = linear_classifier(recipe.weight_decay)
    rates = (0.01, 0.01, 0.001, 0.0001)
    steps = list(trained_by_hand(small_data, rates, recipe.weight_decay, recipe.label_smoothing))
    expected = steps[-1]
    if recipe.average_over:  # begins as the weights after the first update, then takes 1/4 of each that follows
        expected = steps[0]
        for weights in steps[1:]:
            expected = [0.75 * average + 0.25 * now for average, now in zip(expected, weights, strict=True)]

    folder = RunFolder(tmp_path / "linear", {})
    train([model], recipe, small_data, [folder], seeds=[2])
    for mine, by_hand in zip(model.get_layer("dense").get_weights(), expected, strict=True):
        np.testing.assert_allclose(mine, by_hand, atol=1e-6)


def test_averaged_weights_are_what_is_measured(tmp_path, small_data):
    """The validation cross-entropy of the last row, and the net that is left, are those of the average by hand."""
    recipe = replace(BY_HAND, average_over=3, iterations=5, schedule=Steps(()), learning_rate=0.5, weight_decay=0.0)
    model = linear_classifier(0.0)
    steps = list(trained_by_hand(small_data, [0.5] * 5, 0.0, 0.0))
    average = steps[0]
    for weights in steps[1:]:
        average = [2 / 3 * old + 1 / 3 * now for old, now in zip(average, weights, strict=True)]
    folder = RunFolder(tmp_path / "linear", {})
    train([model], recipe, small_data, [folder], seeds=[2])
    x, y = small_data.x_validation, small_data.y_validation
    chances = softmax(x.reshape(len(x), -1) / 255 @ average[0] + average[1])
    by_hand = -np.log(chances[np.arange(len(y)), y]).mean()
    # The average and the last weights differ enough to be told apart.
    last = softmax(x.reshape(len(x), -1) / 255 @ steps[-1][0] + steps[-1][1])
    assert abs(by_hand + np.log(last[np.arange(len(y)), y]).mean()) > 1e-3
    row = records.from_csv((folder.path / reading.METRICS).read_text())[-1]
    assert row.validation_cross_entropy == pytest.approx(by_hand, rel=1e-4)
    np.testing.assert_allclose(model.predict(x, verbose=0), chances, atol=1e-5)


def test_a_residual_may_start_at_zero():
    """Goyal et al. 2017, section 5.1: by the last normalisation of each residual; the net starts as its shortcuts."""
    net = cifar10(8, num_classes=3, image_size=8)
    gammas = {
        layer.name: layer.get_weights()[0]
        for layer in build(net, zero_gamma=True).layers
        if isinstance(layer, keras.layers.BatchNormalization)
    }
    zero = {name for name, gamma in gammas.items() if not gamma.any()}
    assert zero == {f"conv{stage}_block1_2_bn" for stage in (2, 3, 4)}
    assert all((gamma == 1).all() for name, gamma in gammas.items() if name not in zero)


def test_mixed_precision_keeps_float32_where_it_must(net):
    model = build(net, precision="mixed_bfloat16")
    computed = {layer.name: layer.compute_dtype for layer in model.layers}
    exact = {"mean", "avg_pool", "predictions", "probabilities"}
    assert {name for name, dtype in computed.items() if dtype == "float32" and name != "image"} == exact
    assert set(computed.values()) == {"float32", "bfloat16"}
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}


@pytest.mark.parametrize("average_over", [0, 5])
def test_a_net_trained_in_mixed_precision_is_tested_and_saved_in_float32(tmp_path, small_data, net, average_over):
    recipe = replace(
        RECIPE,
        precision="mixed_bfloat16",
        iterations=40,
        schedule=Steps((30,)),
        evaluate_every=20,
        average_over=average_over,
    )
    finished = run(net, recipe, small_data, seed=0, out=tmp_path / "run")
    model = keras.models.load_model(finished.path / "model.keras")
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    expected = build(net, precision="float32")
    expected.set_weights(model.get_weights())
    expected.get_layer("mean").finalize_state()
    x, y = small_data.x_test, small_data.y_test
    probabilities = expected.predict(x, verbose=0)
    np.testing.assert_allclose(model.predict(x, verbose=0), probabilities, atol=1e-6)
    assert finished.results.test_error == pytest.approx(100 * np.mean(probabilities.argmax(1) != y.ravel()), abs=1e-3)
    assert resnet_keras.load(finished.path / "model.keras").count_params() == model.count_params()
    assert any(np.any(slot) for slot in map(keras.ops.convert_to_numpy, model.optimizer.variables[2:]))  # momentum
    assert finished.results.train_error < 60  # chance is 66.7 %


def test_rows_are_keyed_by_iteration_with_the_rate_of_their_updates(finished):
    assert [row.iteration for row in finished.rows] == [2, 3, 4, 5, 6, 7]
    rates = [row.learning_rate for row in finished.rows]
    np.testing.assert_allclose(rates, [0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001])
    for row in finished.rows:
        assert 0 <= row.train_error <= 100
        assert 0 <= row.validation_error <= 100
        assert row.images_per_second >= 0
        assert np.isfinite(row.cross_entropy)


def test_the_run_folder_says_what_was_run(finished):
    settings = run_json(finished.path)
    assert settings["architecture"]["depth"] == 8
    assert settings["architecture"]["shortcut"] == "A"
    assert settings["recipe"]["schedule"] == {"kind": "steps", "boundaries": [3, 5]}
    assert settings["data"]["name"] == "small"
    assert settings["seed"] == 5
    assert settings["backend"] == keras.backend.backend()
    assert settings["versions"]["keras"] == keras.__version__
    assert settings["results"].keys() == {"train_error", "validation_error", "test_error"}
    assert settings["started"] <= settings["ended"]
    header = (finished.path / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {"iteration", "learning_rate", "train_error", "validation_error", "cross_entropy"} <= set(header)
    assert "images_per_second" in header


def test_a_bare_process_evaluates_the_model_to_the_test_error_of_the_run(finished, small_data, tmp_path):
    np.savez(tmp_path / "test.npz", x=small_data.x_test, y=small_data.y_test)
    code = (
        "import keras, numpy as np, sys; d = np.load(sys.argv[2]); m = keras.models.load_model(sys.argv[1]); "
        "print(100 * (1 - m.evaluate(d['x'], d['y'], verbose=0, return_dict=True)['accuracy']))"
    )
    done = run_python(
        "-W", "error::UserWarning", "-c", code, str(finished.path / "model.keras"), str(tmp_path / "test.npz")
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) == pytest.approx(finished.results.test_error, abs=1e-4)


def test_it_learns_what_can_be_learnt_at_once(tmp_path, small_data, net):
    """Brightness tells the three classes apart; chance is an error of 66.7 %."""
    recipe = replace(RECIPE, iterations=60, schedule=Steps((45,)), batch_size=18, evaluate_every=20)
    results = experiment_run(net, recipe, small_data, seed=0, out=tmp_path / "run").results
    assert results.test_error < 15


def test_the_cross_entropy_is_without_the_penalty(tmp_path, small_data):
    net = cifar10(8, None, num_classes=3, image_size=8)
    rows = []
    for decay in (0.0, 1.0):  # at a rate of ~0 the nets stay the same; the penalty alone is thousands of nats
        recipe = replace(RECIPE, iterations=2, schedule=Steps(()), learning_rate=1e-12, weight_decay=decay)
        rows.append(experiment_run(net, recipe, small_data, seed=0, out=tmp_path / str(decay)).rows[-1])
    assert rows[0].cross_entropy == pytest.approx(rows[1].cross_entropy, rel=1e-4)


def test_the_warm_up_lasts_until_the_training_error_is_low_enough_and_then_ends(tmp_path, small_data, net):
    def rates(until):
        recipe = replace(RECIPE, learning_rate=0.02, warmup=Warmup(0.001, until))
        rows = experiment_run(net, recipe, small_data, seed=0, out=tmp_path / f"until-{until}").rows
        return [row.learning_rate for row in rows]

    np.testing.assert_allclose(rates(0.0), [0.001] * 6)  # never below 0 %
    np.testing.assert_allclose(rates(100.1), [0.001, 0.02, 0.002, 0.002, 0.0002, 0.0002])  # after the first period


def test_a_diverged_run_stops_and_keeps_its_rows(tmp_path, small_data, net):
    """Two good iterations in the warm-up, then a rate that no net survives."""
    recipe = replace(RECIPE, iterations=40, schedule=Steps(()), learning_rate=1e30, warmup=Warmup(0.001, 100.1))
    with pytest.raises(Diverged, match=r"iterations 2 to 4 at learning rate 1e\+30"):
        experiment_run(net, recipe, small_data, seed=0, out=tmp_path / "run")
    kept = reading.read(tmp_path / "run")
    assert [row.iteration for row in kept.rows] == [2]
    assert kept.results is None
    assert not (tmp_path / "run" / "model.keras").exists()


def test_a_net_destroyed_by_its_last_update_is_not_a_result(tmp_path, small_data, net):
    recipe = replace(RECIPE, iterations=1, schedule=Steps(()), learning_rate=1e30)
    with pytest.raises(Diverged):
        experiment_run(net, recipe, small_data, seed=0, out=tmp_path / "run")


def test_a_finished_run_of_the_same_settings_is_not_trained_again(finished, small_data, net):
    before = (finished.path / "model.keras").stat()
    again = run(net, RECIPE, small_data, seed=5, out=finished.path)
    assert again.results == finished.results
    assert (finished.path / "model.keras").stat().st_mtime_ns == before.st_mtime_ns


def test_another_run_is_not_written_over_a_finished_one(finished, small_data, net):
    with pytest.raises(OSError, match="other settings"):
        run(net, RECIPE, small_data, seed=6, out=finished.path)


def test_the_same_seed_gives_the_same_run(finished, small_data, net, tmp_path):
    again = run(net, RECIPE, small_data, seed=5, out=tmp_path / "again")
    other = run(net, RECIPE, small_data, seed=6, out=tmp_path / "other")
    assert [row[:6] for row in again.rows] == [row[:6] for row in finished.rows]
    assert [row[:6] for row in other.rows] != [row[:6] for row in finished.rows]


def test_a_model_of_another_size_or_without_softmax_is_refused(tmp_path, small_data):
    folder = RunFolder(tmp_path / "run", {})
    with pytest.raises(InvalidValue, match=r"\(32, 32, 3\)"):
        train([build(cifar10(8))], RECIPE, small_data, [folder])
    image = keras.Input((8, 8, 3))
    logits = keras.Model(image, keras.layers.Dense(3)(keras.layers.Flatten()(image)))
    with pytest.raises(InvalidValue, match="softmax"):
        train([logits], RECIPE, small_data, [folder])


def test_data_of_two_classes_and_any_square_size(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (40, 12, 12, 3)).astype(np.uint8)
    y = (np.arange(40) % 2)[:, None]  # (n, 1), as Keras's own loaders return them
    data = image_data(name="two", source="tests", train=(x, y), test=(x, y))
    net = cifar10(8, "B", data.num_classes, image_size=data.image_size)
    assert run(net, RECIPE, data, seed=0, out=tmp_path / "run").results is not None

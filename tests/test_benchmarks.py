"""The native nets of `benchmarks/` match the nets they are timed against: same size, same answers, same updates."""

import json
import sys
from importlib import import_module

import keras
import numpy as np
import pytest
from conftest import BACKEND, ROOT, run_python, small_arrays

from resnet_keras.nets.build import build
from resnet_keras.runs import reading
from resnet_keras.spec.paper_nets import cifar10, imagenet

pytestmark = pytest.mark.any_backend  # Keras may run on any: the native nets bring their own frameworks

MODULES = {"torch": "torch", "flax": "flax", "tf": "tensorflow"}
CLASSES = {"torch": "TorchLoop", "flax": "FlaxLoop", "tf": "TensorFlowLoop"}
PROGRAM = "benchmarks/training.py"
SMALL = ("--net", "resnet-8", "--batch-size", "8")
LEARNING_RATE = 0.05
WEIGHT_DECAY = 0.1
"""So large that two updates without it give other logits."""
NETS = {
    "option A": cifar10(8, image_size=16),
    "option B": cifar10(8, "B", image_size=16),
    "stem with a pool": imagenet(18, num_classes=10, image_size=64),
}


@pytest.fixture
def loop_of(monkeypatch):
    """Makes a native loop; skips if its framework is not installed."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))

    def make(framework, architecture, mean=127.5):
        pytest.importorskip(MODULES[framework])
        made = getattr(import_module(f"native.{framework}_loop"), CLASSES[framework])
        size = (architecture.image_size, architecture.image_size, 3) if architecture.mean == "pixel" else (3,)
        return made(
            architecture, np.full(size, mean, np.float32), bfloat16=False, learning_rate=LEARNING_RATE, compiled=False
        )

    return make


def batch_for(architecture, images=16):
    random = np.random.default_rng(3)
    size = architecture.image_size
    x = random.integers(0, 256, (images, size, size, 3), np.uint8)
    return x, random.integers(0, architecture.num_classes, images, np.int32)


def logits_model(architecture):
    """Ours up to the logits, with batch normalisation and the last bias away from their initial values."""
    model = build(architecture, seed=1)
    random = np.random.default_rng(5)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    model.get_layer("predictions").bias.assign(random.normal(size=architecture.num_classes))
    return keras.Model(model.inputs, model.layers[-1].input)


def weights_of(model):
    return {layer.name: layer.get_weights() for layer in model.layers}


@pytest.mark.parametrize("framework", MODULES)
@pytest.mark.parametrize("architecture", [cifar10(8), imagenet(50)], ids=lambda net: net.name)
def test_a_native_net_has_as_many_parameters(loop_of, framework, architecture):
    assert loop_of(framework, architecture).parameters == architecture.parameters


@pytest.mark.parametrize("framework", MODULES)
@pytest.mark.parametrize("net", NETS)
def test_a_native_net_with_our_weights_says_what_ours_says(loop_of, framework, net):
    loop, model = loop_of(framework, NETS[net]), logits_model(NETS[net])
    loop.load(weights_of(model))
    x, _ = batch_for(NETS[net])
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(loop.logits(x), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("framework", MODULES)
def test_updates_of_a_native_net_are_ours(loop_of, framework, monkeypatch):
    """The logits after two updates, which depend on momentum, moving statistics and weight decay."""
    architecture = NETS["option A"]
    loop_of(framework, architecture)  # puts benchmarks/ on the path
    monkeypatch.setattr(import_module(f"native.{framework}_loop"), "WEIGHT_DECAY", WEIGHT_DECAY)
    loop, model = loop_of(framework, architecture), logits_model(architecture)
    loop.load(weights_of(model))
    for variable in model.trainable_variables:
        variable.regularizer = keras.regularizers.L2(WEIGHT_DECAY / 2)  # its gradient is that times 2
    x, y = batch_for(architecture, images=64)
    model.compile(
        keras.optimizers.SGD(LEARNING_RATE, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    for _ in range(2):
        loop.step(loop.to_device(x, y))
        model.train_on_batch(x, y)
    loss, accuracy = loop.measure()
    assert 0 < loss < 10
    assert 0 <= accuracy <= 1
    # PyTorch and TensorFlow keep the unbiased variance: 1/1024 more where the last stage has 4 x 4 pixels.
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(loop.logits(x), expected, atol=2e-3 * np.abs(expected).max())


@pytest.mark.slow
def test_the_program_writes_speeds_and_ratios(tmp_path):
    pytest.importorskip("flax" if BACKEND == "jax" else BACKEND)
    files = ("--json", str(tmp_path / "out.json"), "--markdown", str(tmp_path / "out.md"))
    done = run_python(PROGRAM, *SMALL, "--seconds", "0.2", "--rounds", "2", *files)
    assert done.returncode == 0, done.stderr
    (result,) = json.loads((tmp_path / "out.json").read_text())
    assert result["setting"]["backend"] == BACKEND
    names = {"train", "fit", "own step", "keras step", "native step", "native loop"}
    assert result["images_per_second"].keys() == names
    assert all(len(rates) == 2 and min(rates) > 0 for rates in result["images_per_second"].values())
    assert result["median_ratio"]["train / native loop"] > 0
    assert "| resnet-8 |" in (tmp_path / "out.md").read_text()


@pytest.mark.slow
def test_the_program_measures_the_start(tmp_path):
    pytest.importorskip("flax" if BACKEND == "jax" else BACKEND)
    done = run_python(PROGRAM, *SMALL, "--start", "--json", str(tmp_path / "out.json"))
    assert done.returncode == 0, done.stderr
    (result,) = json.loads((tmp_path / "out.json").read_text())
    for name in ("train", "native loop"):
        assert 0 < result["start"][name]["first_step_seconds"] < 600
        assert sys.platform == "win32" or result["start"][name]["peak_bytes"] > 1e7


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        (["train"], "invalid choice"),
        (["fit", "fit"], "given once"),
        (["keras.applications fit"], "resnet-50"),
    ],
)
def test_who_cannot_run_beside_train_is_told_in_one_line(beside, said):
    done = run_python(PROGRAM, "--net", "resnet-20", "--beside", *beside)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_wrong_net_is_one_line():
    done = run_python(PROGRAM, "--net", "resnet-21")
    assert done.returncode == 2
    assert "6n + 2" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_a_gpu_could_do_by_hand(monkeypatch):
    """On an A100: ResNet-20 at batch 128, limited by memory, and ResNet-50 at batch 256, by arithmetic."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    roofline, setting = import_module("roofline"), import_module("setting")
    a100 = roofline.GPUS[0]
    one = setting.Setting("jax", "resnet-20", 128, "float32")
    outputs = 7 * 16 * 32 * 32 + 6 * 32 * 16 * 16 + 6 * 64 * 8 * 8
    weights = 269_722
    for passes in (5, 19):
        moved = passes * outputs * 128 * 4 + 7 * 4 * weights
        assert roofline.least_seconds(one, a100, passes) == (pytest.approx(moved / 2.039e12, rel=1e-3), "memory")
    # ResNet-50 in float32 is limited by arithmetic: three passes of 3.86 billion multiply-adds, less conv1's third.
    fifty = setting.Setting("jax", "resnet-50", 256, "float32")
    operations = 2 * 256 * (3 * 3.858e9 - 7 * 7 * 3 * 64 * 112 * 112)
    assert roofline.least_seconds(fifty, a100, 5) == (pytest.approx(operations / 156e12, rel=2e-3), "arithmetic")
    measured = {
        "setting": {"backend": "torch", "net": "resnet-20", "batch_size": 128},
        "device": "NVIDIA A100-SXM4-80GB",
        "median": {"train": 10_000.0},
        "median_ratio": {"train / native loop": 0.5},
    }
    (row,) = roofline.measured_table([measured, {"setting": {}, "error": "killed"}]).rows
    # 128 images take 12.8 ms; at best, 0.24 and 0.9
    assert row[-4:] == ("10,000", "0.50", "0.02", "0.07")


@pytest.mark.slow
def test_scores_are_measured_beside_predict(tmp_path):
    pytest.importorskip("PIL")
    file = tmp_path / "scores.json"
    net = ("--net", "resnet-18", "--image-size", "32", "--images", "4", "--rounds", "2")
    for protocols in (("10-crop",), ("multi-scale",)):
        done = run_python("benchmarks/scores.py", *net, "--protocol", *protocols, "--json", str(file))
        assert done.returncode == 0, done.stderr
    results = json.loads(file.read_text())
    assert [one["protocol"] for one in results] == ["10-crop", "multi-scale"]
    for one in results:
        assert all(len(rates) == 2 and min(rates) > 0 for rates in one["images_per_second"].values())
        # It includes the time of both, so it is slower than the slower of the two
        assert one["median"]["one after the other"] < min(one["median"]["predict"], one["median"]["views"])


@pytest.mark.slow
def test_ten_minutes_of_a_gpu_are_tried_in_short_form(tmp_path):
    pytest.importorskip("flax" if BACKEND == "jax" else BACKEND)
    program = ("benchmarks/on_a_gpu.py", "--short", "--backend", BACKEND, "--out")
    done = run_python(*program, str(tmp_path), "--minutes", "20", timeout=1500)
    assert done.returncode == 0, done.stderr
    session = json.loads((tmp_path / "session.json").read_text())
    assert {step["ended"] for step in session["steps"]} == {"done"}, done.stdout
    names = [step["name"] for step in session["steps"]]
    assert names[0] == f"resnet-20-{BACKEND}"
    assert names[-1] == f"scores-{BACKEND}"
    assert set(session["seeds_images_per_second"]) == (
        {"one/ResNet-seed0", *(f"several/ResNet-8-seed{seed}" for seed in range(5))} if BACKEND == "jax" else set()
    )
    files = [str(path) for path in tmp_path.glob("*.json")]
    assert f"| {BACKEND} |" in run_python("benchmarks/roofline.py", "--measured", *files).stdout
    # If there is no time, nothing is begun.
    done = run_python(*program, str(tmp_path / "none"), "--minutes", "0.05")
    assert {step["ended"] for step in json.loads((tmp_path / "none" / "session.json").read_text())["steps"]} == {
        "not begun"
    }


@pytest.mark.slow
def test_both_fans_are_measured(tmp_path):
    np.savez(tmp_path / "images.npz", **small_arrays(size=32))
    done = run_python(
        "benchmarks/initialisation.py", "--data-dir", str(tmp_path / "images.npz"), "--iterations", "2", "--seeds", "3",
        "--out", str(tmp_path / "runs"), "--json", str(tmp_path / "out.json"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "out.json").read_text())["rows"]
    nets = ("plain-8", "plain-26", "ResNet-8", "ResNet-26")
    assert [(row["net"], row["fan"]) for row in rows] == [(net, fan) for net in nets for fan in ("fan_in", "fan_out")]
    for row in rows:
        run = reading.read(tmp_path / "runs" / row["fan"] / f"{row['net']}-seed3")
        assert run.recipe.fan == row["fan"]
        assert row["training_error"] == [pytest.approx(run.results.train_error, abs=0.01)]
        assert f"validation {row['validation_error'][0]:.2f} %" in done.stdout

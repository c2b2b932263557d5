"""`load`: our own files open to the net that was saved; those of others, of another net or damaged do not."""

import hashlib
import io
import json
import os
import random
import zipfile
from importlib.util import find_spec

import h5py
import keras
import model_files
import numpy as np
import pytest
from baseline_nets import ONE_OUTPUT
from baseline_nets import SMALL as BASELINES
from conftest import BACKEND, ROOT, run_python
from model_files import CONFIG, METADATA, WEIGHTS, probabilities, repack, unpack

import resnet_keras
from resnet_keras import Architecture, InputOutput, InvalidValue, cifar10, imagenet, load
from resnet_keras.nets.build import network_of
from resnet_keras.programs.backend import BACKENDS
from resnet_keras.runs.writing import RunFolder
from resnet_keras.spec.architecture import Stage, Stem
from resnet_keras.spec.kinds import network_from_dict
from resnet_keras.weights import archive
from resnet_keras.weights.save import write

SMALL = {"num_classes": 4, "image_size": 8}


def bottleneck(stride_in: str) -> Architecture:
    """A net of 11 layers with Figure 5's right-hand units; wherever the stride is, the weights have the same shapes."""
    return Architecture(
        stem=Stem(8, 7, 2, True),
        stages=(Stage(2, 1, 1), Stage(4, 2, 2)),
        unit="bottleneck",
        shortcut="B",
        num_classes=4,
        image_size=16,
        stride_in=stride_in,
        mean="channel",
    )


NETS = {
    "plain": cifar10(8, None, **SMALL),
    "A": cifar10(8, "A", **SMALL),
    "B": cifar10(8, "B", **SMALL),
    "C": cifar10(8, "C", **SMALL),
    "deeper plain": cifar10(14, None, **SMALL),
    "deeper A": cifar10(14, "A", **SMALL),
    "more classes": cifar10(8, "A", 5, image_size=8),
    "larger images": cifar10(8, "A", 4, image_size=12),
    "stride in 1x1": bottleneck("1x1"),
    "stride in 3x3": bottleneck("3x3"),
}
LARGER = {
    "nested": cifar10(158, "B", **SMALL),
    "imagenet-50": imagenet(50, num_classes=10, image_size=64),
    **ONE_OUTPUT,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def files(folder):
    """Every small net: its path, and the probabilities that it gave when it was saved."""
    return {
        name: (folder / f"{name}.keras", probabilities(model_files.write(folder / f"{name}.keras", net), net))
        for name, net in NETS.items()
    }


def refused(path, match=None, **arguments) -> str:
    with pytest.raises(InputOutput, match=match) as caught:
        load(path, **arguments)
    text = str(caught.value)
    assert "\n" not in text
    assert path.name in text
    return text


@pytest.mark.parametrize("name", NETS)
def test_a_file_opens_to_the_net_that_was_saved(files, name):
    path, expected = files[name]
    model = load(path)
    np.testing.assert_array_equal(probabilities(model, NETS[name]), expected)
    assert model.name == keras.models.load_model(path).name


@pytest.mark.parametrize("name", LARGER)
def test_a_larger_file_opens_to_the_net_that_was_saved(tmp_path, name):
    saved_model = model_files.write(tmp_path / "model.keras", LARGER[name], compiled=False)
    loaded = load(tmp_path / "model.keras")
    np.testing.assert_array_equal(probabilities(loaded, LARGER[name]), probabilities(saved_model, LARGER[name]))


def test_a_net_with_auxiliary_classifiers_opens_with_them(tmp_path):
    net = BASELINES["GoogLeNet with heads"]
    model = resnet_keras.build(net, seed=1)
    resnet_keras.save(model, tmp_path / "model.keras")
    x = model_files.images(net)
    expected, got = model.predict(x, verbose=0), load(tmp_path / "model.keras").predict(x, verbose=0)
    assert len(expected) == len(got) == 3
    np.testing.assert_array_equal(np.asarray(got), np.asarray(expected))


@pytest.mark.any_backend
def test_a_file_may_be_as_large_as_its_net_needs_and_no_larger(tmp_path, monkeypatch):
    """The published limits: PReLU-net C with momentum fits; a small net's file beyond its limit is refused unparsed."""
    for net in (resnet_keras.prelu_net("C"), resnet_keras.vgg(19)):
        metadata = {"keras_version": "3", "date_saved": "", "architecture": net.to_dict()}
        head = model_files.pack((METADATA, json.dumps(metadata).encode()))
        most = archive._most_bytes_of_file(head)
        assert 8 * net.parameters < most < 8.2 * net.parameters
        assert most <= archive.MAX_BYTES < 2**32  # sizes in a zip file have 32 bits
    path = tmp_path / "model.keras"
    model_files.write(path, NETS["A"])
    with path.open("r+b") as file:
        file.truncate(2 << 30)
    monkeypatch.setattr(archive, "_parse", None)
    refused(path, match="the limit is [0-9,]{7,9}\\b")


def test_a_trained_file_opens_with_its_momentum_left_out_and_evaluates(tmp_path):
    net = NETS["A"]
    trained = model_files.write(tmp_path / "model.keras", net, steps=2)
    loaded = load(tmp_path / "model.keras")
    np.testing.assert_array_equal(probabilities(loaded, net), probabilities(trained, net))
    x, y = model_files.images(net), np.zeros(2)
    got, expected = (model.evaluate(x, y, verbose=0, return_dict=True) for model in (loaded, trained))
    assert got["accuracy"] == expected["accuracy"]
    assert got["loss"] < expected["loss"]  # without the weight decay's penalty


def test_a_file_of_a_mixed_precision_run_opens_in_the_policy_of_the_process(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = model_files.write(tmp_path / "model.keras", NETS["A"], steps=1)
        np.testing.assert_array_equal(
            probabilities(load(tmp_path / "model.keras"), NETS["A"]), probabilities(mixed, NETS["A"])
        )
    finally:
        keras.config.set_dtype_policy("float32")
    loaded = load(tmp_path / "model.keras")
    assert loaded.dtype_policy.name == "float32"
    for got, expected in zip(loaded.get_weights(), mixed.get_weights(), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_keras_itself_opens_the_file_in_a_process_without_this_package(files):
    code = (
        "import json, sys, keras, numpy as np; "
        "model = keras.models.load_model(sys.argv[1]); "
        "print(json.dumps([model.name, 'resnet_keras' in sys.modules, model.optimizer.momentum]))"
    )
    done = run_python("-P", "-c", code, str(files["B"][0]))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == ["ResNet-8-B", False, 0.9]


@pytest.mark.any_backend
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_file_opens_on_another_backend_than_it_was_written_on(files, backend):
    if backend == BACKEND or find_spec(BACKENDS[backend]) is None:
        pytest.skip("this backend, or not installed")
    net, (path, expected) = NETS["B"], files["B"]
    theirs = path.with_name(f"{backend}.keras")
    code = (
        "import json, sys, model_files, resnet_keras; "
        "net = resnet_keras.cifar10(8, 'B', 4, image_size=8); "
        "written = model_files.write(sys.argv[2], net, steps=1); "
        "models = written, resnet_keras.load(sys.argv[1]); "
        "print(json.dumps([model_files.probabilities(model, net).tolist() for model in models]))"
    )
    done = run_python("-c", code, str(path), str(theirs), backend=backend, PYTHONPATH=f"{ROOT}{os.pathsep}{ROOT}/tests")
    assert done.returncode == 0, done.stderr
    written, loaded = (np.array(values) for values in json.loads(done.stdout.splitlines()[-1]))
    np.testing.assert_allclose(loaded, expected, atol=1e-5)
    np.testing.assert_allclose(probabilities(load(theirs), net), written, atol=1e-5)


def test_the_archive_is_what_zipfile_writes_of_the_three_files_of_keras(files):
    path, _ = files["A"]
    assert path.read_bytes() == repack(unpack(path))
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
        assert archive.testzip() is None


def test_a_run_writes_files_that_open(tmp_path):
    net = NETS["A"]
    run = RunFolder(tmp_path / "run", {"architecture": net.to_dict(), "recipe": {}, "data": {}, "seed": 0})
    model = resnet_keras.build(net)
    path = run.save_model(lambda path: write(model, path, net))
    np.testing.assert_array_equal(probabilities(load(path), net), probabilities(model, net))


def test_two_loads_give_two_nets(files):
    path, _ = files["plain"]
    one, two = load(path), load(path)
    one.layers[-2].kernel.assign(one.layers[-2].kernel * 0)
    assert np.abs(two.layers[-2].get_weights()[0]).max() > 0


def test_nothing_of_the_process_changes(files):
    def state():
        config = keras.config
        return (
            (config.floatx(), config.epsilon(), config.image_data_format(), config.dtype_policy().name),
            (random.getstate(), str(np.random.get_state())),
            dict(keras.saving.get_custom_objects()),
        )

    load(files["C"][0])
    first, before = keras.layers.Conv2D(1, 1).name, state()
    load(files["C"][0])
    refused(files["C"][0], sha256="0" * 64)
    for now, then in zip(state(), before, strict=True):
        assert now == then
    number = int(first.removeprefix("conv2d").removeprefix("_") or 0)
    assert keras.layers.Conv2D(1, 1).name == f"conv2d_{number + 1}"


def test_a_hash_that_is_given_has_to_hold(files):
    path, _ = files["A"]
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    load(path, sha256=right)
    load(path, sha256=right.upper())
    refused(path, "SHA-256", sha256=right[:-1] + ("0" if right[-1] != "0" else "1"))
    for none in ("", "abc", right + "0", "g" * 64, 7):
        with pytest.raises(InvalidValue, match="64 hexadecimal"):
            load(path, sha256=none)


def test_a_hash_in_the_run_beside_the_file_has_to_hold(files, tmp_path):
    data = files["A"][0].read_bytes()
    path, run = tmp_path / "model.keras", tmp_path / "run.json"
    path.write_bytes(data)
    known = {"files": {"model.keras": {"sha256": hashlib.sha256(data).hexdigest()}}, "results": {"error": np.nan}}
    for settings in (known, {"files": {}}, {"files": None}, {}):
        run.write_text(json.dumps(settings))
        load(path)
    run.write_text(json.dumps(known))
    members = unpack(path)
    weights = bytearray(members[WEIGHTS])
    with h5py.File(io.BytesIO(members[WEIGHTS])) as file:
        weights[file["layers/dense/vars/0"].id.get_offset()] ^= 1
    path.write_bytes(repack(members, weights=bytes(weights)))
    refused(path, "SHA-256")
    run.unlink()
    load(path)  # finite numbers of the right shape: without a hash nobody can tell
    for damaged in ("", "{", "[]", '{"files": 3}', '{"files": {"model.keras": {"sha256": "abc"}}}'):
        run.write_text(damaged)
        refused(path, r"run\.json")


def test_numbers_of_another_net_are_refused_for_every_ordered_pair(files):
    """Metadata or weights of one net's archive in another's, for 90 ordered pairs."""
    members = {name: unpack(path) for name, (path, _) in files.items()}
    path = next(iter(files.values()))[0].with_name("crossed.keras")
    refusals = []
    for one in NETS:
        for other in NETS:
            for part in (METADATA, WEIGHTS) if one != other else ():
                path.write_bytes(repack(members[one] | {part: members[other][part]}))
                refusals.append(refused(path))
    assert len(refusals) == 2 * 90


def test_what_keras_would_build_is_not_read(files):
    """A later Keras may add fields, and whoever changes `config.json` changes nothing here."""
    path, expected = files["A"]
    members = unpack(path)
    config = json.loads(members[CONFIG])
    for layer in config["config"]["layers"]:
        layer["config"]["a_field_of_a_later_keras"] = {"module": "os", "class_name": "system"}
    changed = path.with_name("later.keras")
    for content in (config, b"", unpack(files["plain"][0])[CONFIG]):
        changed.write_bytes(repack(members, config=content))
        np.testing.assert_array_equal(probabilities(load(changed), NETS["A"]), expected)


def test_a_net_is_saved_by_name_and_opens(tmp_path):
    net = NETS["B"]
    model = resnet_keras.build(net)
    resnet_keras.save(model, tmp_path / "new" / "model.keras")
    loaded = load(tmp_path / "new" / "model.keras")
    resnet_keras.save(loaded, str(tmp_path / "again.keras"))
    assert network_of(load(tmp_path / "again.keras")) == net
    np.testing.assert_array_equal(probabilities(loaded, net), probabilities(model, net))
    with pytest.raises(InvalidValue, match=r"\.keras file"):
        resnet_keras.save(model, tmp_path / "model.h5")
    with pytest.raises(InvalidValue, match="which neither build nor load made"):
        resnet_keras.save(keras.models.clone_model(model), tmp_path / "model.keras")


def test_a_cut_file_is_refused_at_every_length(files):
    data = files["A"][0].read_bytes()
    path = files["A"][0].with_name("cut.keras")
    for length in [0, 1, 29, 30, 43, 44, 600, *range(0, len(data), len(data) // 23), len(data) - 1]:
        path.write_bytes(data[:length])
        refused(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(files, value):
    path = files["A"][0].with_name("infinite.keras")
    members = unpack(files["A"][0])
    for dataset in ("layers/conv2d_3/vars/0", "layers/batch_normalization/vars/3", "layers/normalization/vars/0"):
        weights = io.BytesIO(members[WEIGHTS])
        with h5py.File(weights, "r+") as file:
            file[dataset][(-1,) * file[dataset].ndim] = value
        path.write_bytes(repack(members, weights=weights.getvalue()))
        refused(path, f"{dataset} holds numbers that are not finite")


def test_a_file_that_keras_wrote_alone_is_named_as_such(tmp_path):
    resnet_keras.build(NETS["A"]).save(tmp_path / "model.keras")
    text = refused(tmp_path / "model.keras", "which net it is")
    assert "keras.models.load_model opens other files, at your own risk" in text


@pytest.mark.parametrize(
    "net", [*NETS.values(), *LARGER.values(), cifar10(1202), imagenet(152)], ids=lambda net: net.name
)
def test_an_architecture_is_read_as_it_was_written(net):
    assert network_from_dict(json.loads(json.dumps(net.to_dict()))) == net


def test_the_weights_are_as_many_numbers_as_the_architecture_says(files):
    for name, net in NETS.items():
        arrays = []
        with h5py.File(io.BytesIO(unpack(files[name][0])[WEIGHTS])) as file:
            file["layers"].visititems(lambda _, item, arrays=arrays: arrays.append(getattr(item, "size", 0)))
        assert net.stored_numbers == sum(arrays) - 1  # the count of `Normalization`


def test_adding_an_architecture_to_what_keras_did_not_write_is_refused(tmp_path):
    path = tmp_path / "model.keras"
    for content in (b"", b"text", model_files.pack((METADATA, b"{}"))):
        path.write_bytes(content)
        with pytest.raises(InputOutput, match="the format that Keras writes"):
            archive.add_network(path, NETS["A"].to_dict())
        assert path.read_bytes() == content

"""Other projects' nets, as PyTorch modules, against what `convert` makes of their files."""

import hashlib
import json

import keras
import numpy as np
import pytest
from conftest import run_python, small_arrays

torch = pytest.importorskip("torch")

from torch_nets import IMAGES, Akamaster, AMartyn, probabilities, settle  # noqa: E402

import resnet_keras  # noqa: E402
from resnet_keras import InvalidValue  # noqa: E402
from resnet_keras.weights.convert.convert import convert  # noqa: E402

NETS = {
    "ResNet-8": lambda: Akamaster(1),
    "ResNet-14": lambda: Akamaster(2),
    "ResNet-8 B": lambda: Akamaster(1, option="B"),
    "a-martyn ResNet-14": lambda: AMartyn(2),
    "a-martyn plain-14": lambda: AMartyn(2, shortcuts=False),
}


def net_and_file(path, make):
    torch.manual_seed(2)
    net = settle(make(), IMAGES, make().pixels)
    torch.save(net.state_dict(), path)
    return net


def close(file, net):
    model = keras.models.load_model(file)
    found = keras.ops.convert_to_numpy(model(IMAGES, training=False))
    np.testing.assert_allclose(found, probabilities(net, IMAGES, net.pixels), atol=2e-5)


@pytest.mark.parametrize("name", NETS)
def test_raw_pixels_give_the_sources_probabilities(tmp_path, name):
    net = net_and_file(tmp_path / "net.pt", NETS[name])
    out = tmp_path / "net.keras"
    plain_or_residual = name.split()[1] if "martyn" in name else None
    report = convert(tmp_path / "net.pt", out, architecture=plain_or_residual)
    close(out, net)
    ours = resnet_keras.load(out)
    expected = probabilities(net, IMAGES, net.pixels)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(ours(IMAGES, training=False)), expected, atol=2e-5)
    assert report.architecture.name == name.removeprefix("a-martyn ")
    assert report.parity.equal_top1 == 1.0
    assert report.parity.largest_difference < 2e-5


def test_other_class_counts(tmp_path):
    net = net_and_file(tmp_path / "net.pt", lambda: Akamaster(1, classes=100))
    assert convert(tmp_path / "net.pt", tmp_path / "net.keras").architecture.num_classes == 100
    close(tmp_path / "net.keras", net)


WRAPPED = {
    "DataParallel": (lambda state: {f"module.{name}": value for name, value in state.items()}, "stripped 'module.'"),
    "under state_dict": (lambda state: {"state_dict": state, "best_prec1": 91.7}, "beside best_prec1"),
    "with optimizer": (lambda state: {"model": state, "optimizer": {"state": {}, "lr": 0.1}, "epoch": 3}, "optimizer"),
    "both": (lambda state: {"state_dict": {f"module.{name}": value for name, value in state.items()}}, "unwrapped"),
    "float64": (lambda state: {name: value.double() for name, value in state.items()}, "float64 rounded"),
    "with gradient": (lambda state: {name: value.float().requires_grad_() for name, value in state.items()}, None),
}


@pytest.mark.any_backend
@pytest.mark.parametrize("case", WRAPPED)
def test_what_training_programs_save_around_a_net(tmp_path, case):
    wrap, note = WRAPPED[case]
    net = net_and_file(tmp_path / "net.pt", NETS["ResNet-8"])
    torch.save(wrap(net.state_dict()), tmp_path / "net.pt")
    report = convert(tmp_path / "net.pt", tmp_path / "net.keras")
    close(tmp_path / "net.keras", net)
    assert note is None or any(note in one for one in report.notes)


@pytest.mark.any_backend
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_widened(tmp_path, dtype):
    net = net_and_file(tmp_path / "net.pt", NETS["ResNet-8"])
    kind = getattr(torch, dtype)
    state = {name: value.to(kind) if value.is_floating_point() else value for name, value in net.state_dict().items()}
    torch.save(state, tmp_path / "net.pt")
    report = convert(tmp_path / "net.pt", tmp_path / "net.keras")
    net.load_state_dict(state)
    close(tmp_path / "net.keras", net)
    assert f"{dtype} widened to float32" in report.notes


@pytest.mark.any_backend
@pytest.mark.parametrize("kind", ["npz", "safetensors", "safetensors in bfloat16", "old pickle"])
def test_other_kinds_of_file(tmp_path, kind):
    net = net_and_file(tmp_path / "net.pt", NETS["ResNet-8"])
    state, file = net.state_dict(), tmp_path / "net.of-no-known-ending"
    if kind == "npz":
        with file.open("wb") as opened:
            np.savez(opened, **{name: value.numpy() for name, value in state.items()})
    elif kind == "old pickle":
        torch.save(state, file, _use_new_zipfile_serialization=False)
    else:
        save = pytest.importorskip("safetensors.torch").save_file
        if "bfloat16" in kind:
            state = {name: value.bfloat16() for name, value in state.items()}
            net.load_state_dict(state)
        save(state, file)
    convert(file, tmp_path / "net.keras")
    close(tmp_path / "net.keras", net)


@pytest.mark.any_backend
@pytest.mark.parametrize("shortcuts", [False, True])
def test_numbers_of_an_untrained_net_do_not_tell_whether_it_is_plain(tmp_path, shortcuts):
    net = AMartyn(1, shortcuts).eval()
    torch.save(net.state_dict(), tmp_path / "net.pt")
    with pytest.raises(InvalidValue, match="--architecture plain-8 or --architecture ResNet-8"):
        convert(tmp_path / "net.pt", tmp_path / "net.keras")
    name = "ResNet-8" if shortcuts else "plain-8"
    assert convert(tmp_path / "net.pt", tmp_path / "net.keras", architecture=name).architecture.name == name
    close(tmp_path / "net.keras", net)


def changed(**tensors):
    return lambda state: state | {name.replace("__", "."): value for name, value in tensors.items()}


def without(name):
    return lambda state: {key: value for key, value in state.items() if key != name}


class Evil:
    def __reduce__(self):
        return print, ("run",)


STATES = {
    "missing tensor": (without("layer2.0.conv1.weight"), r"Missing: layer2\.0\.conv1\.weight"),
    "missing dense layer": (without("linear.bias"), r"linear\.bias"),
    "extra tensor": (changed(extra=torch.ones(3)), "Received also: extra"),
    "shape": (changed(bn1__weight=torch.ones(17)), r"bn1\.weight of shape \(16,\). Received: \(17,\)"),
    "NaN": (changed(bn1__weight=torch.full((16,), float("nan"))), "'bn1.weight' holds numbers that are not finite"),
    "inf": (changed(bn1__weight=torch.full((16,), float("inf"))), "not finite"),
    "too large for float32": (changed(bn1__weight=torch.full((16,), 1e300, dtype=torch.float64)), "not finite"),
    "whole numbers": (changed(bn1__weight=torch.ones(16, dtype=torch.int64)), r"bn1\.weight of type int64"),
    "complex": (changed(bn1__weight=torch.ones(16, dtype=torch.complex64)), r"bn1\.weight"),
    "negative variance": (changed(bn1__running_var=torch.full((16,), -0.1)), "variance is 0 or more"),
    "sparse": (changed(bn1__weight=torch.ones(16).to_sparse()), "sparse"),
    "a shape of 10 billion": (changed(bn1__weight=torch.ones(1).expand(10**10)), "claim more than"),
    "no tensor": (changed(bn1__weight="text"), "not a tensor but a value of type str"),
    "uneven stages": (lambda s: {k: v for k, v in s.items() if "layer3" not in k}, "n units in each of 3 stages"),
    "unknown project": (lambda s: {f"features.{k}": v for k, v in s.items()}, "tensors that fit none of these"),
    "code": (changed(bn1__weight=Evil()), "no code from a file is run"),
    "empty": (lambda s: {}, "not a state_dict"),
    "a number": (lambda s: 3, "not a state_dict"),
}


@pytest.mark.any_backend
@pytest.mark.parametrize("case", STATES)
def test_wrong_tensors_are_named_in_one_line(tmp_path, case):
    change, match = STATES[case]
    torch.save(change(settle(Akamaster(1), IMAGES, Akamaster.pixels).state_dict()), tmp_path / "net.pt")
    with pytest.raises(OSError, match=match) as caught:
        convert(tmp_path / "net.pt", tmp_path / "net.keras")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "net.keras").exists()


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html></html>", "not a .pt"),
        (b"PK\3\4 and nothing else", "truncated or damaged"),
        (b"\x80\x02 and nothing else", "truncated or damaged|more than tensors"),
        (b"\x89HDF\r\n\x1a\n and nothing else", "truncated or damaged"),
        (b"\xff\0\0\0\0\0\0\0{ and nothing else", "truncated or damaged"),
        (None, "it is a folder"),
        ("cut", "truncated or damaged"),
        ("absent", "No such file"),
    ],
)
def test_wrong_files_are_told_in_one_line(tmp_path, content, match):
    file = tmp_path / "net.pt"
    if content is None:
        file.mkdir()
    elif content == "cut":
        torch.save(Akamaster(1).state_dict(), file)
        file.write_bytes(file.read_bytes()[:-1000])
    elif content != "absent":
        file.write_bytes(content)
    if str(content).startswith(r"b'\x89HDF"):
        pytest.importorskip("h5py")
    if str(content).startswith(r"b'\xff"):
        pytest.importorskip("safetensors")
    with pytest.raises(OSError, match=match) as caught:
        convert(file, tmp_path / "net.keras")
    assert "\n" not in str(caught.value)


@pytest.mark.any_backend
def test_an_architecture_confirms(tmp_path):
    net_and_file(tmp_path / "net.pt", NETS["ResNet-8"])
    for name in ("ResNet-8", "resnet8", "ResNet-8 A"):
        convert(tmp_path / "net.pt", tmp_path / "net.keras", architecture=name)
    for name in ("ResNet-14", "plain-8", "ResNet-8 B"):
        with pytest.raises(OSError, match=f"should hold {name}. Received: ResNet-8 from akamaster"):
            convert(tmp_path / "net.pt", tmp_path / "net.keras", architecture=name)
    with pytest.raises(InvalidValue, match="has a name like"):
        convert(tmp_path / "net.pt", tmp_path / "net.keras", architecture="vgg-16")


@pytest.mark.any_backend
def test_the_recipe_writes_net_and_report(tmp_path):
    net = net_and_file(tmp_path / "net.pt", NETS["ResNet-8"])
    out, report = tmp_path / "net.keras", tmp_path / "net.json"
    done = run_python("recipes/convert.py", str(tmp_path / "net.pt"), "--out", str(out), "--json", str(report))
    assert done.returncode == 0, done.stderr
    close(out, net)
    content = json.loads(report.read_text())
    assert content["architecture"] == "ResNet-8"
    assert content["source"] == "akamaster/pytorch_resnet_cifar10"
    assert content["equal_top1"] == 1
    assert content["largest_difference"] < 2e-5
    np.testing.assert_allclose(content["preprocessing"]["mean"], [123.675, 116.28, 103.53])
    card = out.with_suffix(".md").read_text(encoding="utf-8")
    assert f"SHA-256 {hashlib.sha256(out.read_bytes()).hexdigest()}" in card
    assert "akamaster/pytorch_resnet_cifar10, licence BSD-2-Clause" in card
    np.savez(tmp_path / "three.npz", **small_arrays(size=32))  # three classes; the net has ten
    other = run_python(
        *("recipes/convert.py", str(tmp_path / "net.pt"), "--out", str(out), "--data-dir", str(tmp_path / "three.npz"))
    )
    assert "no test error: three has 3 classes, the net 10" in other.stdout, other.stderr
    assert "| test error, % | not measured |" in out.with_suffix(".md").read_text(encoding="utf-8")

    wrong = run_python("recipes/convert.py", str(tmp_path), "--out", str(out))
    assert wrong.returncode == 4
    assert len([line for line in wrong.stderr.splitlines() if "convert.py" in line]) == 1
    assert "Traceback" not in wrong.stderr
    assert run_python("recipes/convert.py", str(out), "--out", "net.h5").returncode == 2

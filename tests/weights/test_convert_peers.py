"""Nets that torchvision, timm, transformers, keras.applications and KerasHub make, against what `convert` makes."""

import keras
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch_nets import IMAGENET, probabilities, settle  # noqa: E402

from resnet_keras.nets import build as nets  # noqa: E402
from resnet_keras.weights.convert.convert import convert  # noqa: E402

IMAGES = np.random.default_rng(1).integers(0, 256, (3, 224, 224, 3)).astype(np.uint8)
CLASSES = 7


def torchvision(name):
    # Its compiled operators do not fit every build of PyTorch, and its ResNets need none of them.
    if not hasattr(torch.ops.torchvision, "nms"):
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        torchvision.library = library  # kept: what it defines goes when it goes
    models = pytest.importorskip("torchvision.models", exc_type=(ImportError, RuntimeError))
    return getattr(models, name)(num_classes=CLASSES)


def timm(name):
    torchvision("resnet18")
    return pytest.importorskip("timm").create_model(name, num_classes=CLASSES)


def transformers(name):
    torchvision("resnet18")
    module = pytest.importorskip("transformers")
    sizes = {"basic": [64, 128, 256, 512], "bottleneck": [256, 512, 1024, 2048]}[name]
    config = module.ResNetConfig(depths=[3, 4, 6, 3], hidden_sizes=sizes, layer_type=name, num_labels=CLASSES)
    return module.ResNetForImageClassification(config)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("make", "name", "architecture"),
    [
        (torchvision, "resnet18", "ResNet-18 B"),
        (torchvision, "resnet50", "ResNet-50"),
        (timm, "resnet34", "ResNet-34 B"),
        (transformers, "basic", "ResNet-34 B"),
        (transformers, "bottleneck", "ResNet-50"),
        pytest.param(torchvision, "resnet101", "ResNet-101", marks=pytest.mark.slow),
        pytest.param(timm, "resnet152", "ResNet-152", marks=pytest.mark.slow),
    ],
)
def test_raw_pixels_give_the_peers_probabilities(tmp_path, make, name, architecture):
    net = settle(make(name), IMAGES, IMAGENET)
    torch.save(net.state_dict(), tmp_path / "net.pt")
    report = convert(tmp_path / "net.pt", tmp_path / "net.keras", architecture=architecture)
    assert report.architecture.name == architecture
    model = keras.models.load_model(tmp_path / "net.keras")
    expected = probabilities(net, IMAGES, IMAGENET)
    assert np.ptp(expected, axis=0).max() > 1e-2  # outputs differ between images
    np.testing.assert_allclose(model.predict(IMAGES, verbose=0), expected, atol=1e-4)


@pytest.mark.any_backend
@pytest.mark.parametrize("name", ["resnext50_32x4d", "wide_resnet50_2"])
def test_other_nets_of_torchvision_are_refused(tmp_path, name):
    torch.save(torchvision(name).state_dict(), tmp_path / "net.pt")
    with pytest.raises(OSError, match="ResNet-50 from torchvision or timm has layer1"):
        convert(tmp_path / "net.pt", tmp_path / "net.keras")


def settled(net, images):
    """Gives a Keras net numbers that are the same on every backend, with no two channels alike."""
    random = np.random.default_rng(3)
    norms = [layer for layer in nets.every_layer(net) if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in nets.every_layer(net):
        if layer in norms:
            gamma, beta = random.uniform(0.5, 1.5, layer.gamma.shape), random.normal(0, 0.5, layer.beta.shape)
            layer.set_weights([gamma, beta, *layer.get_weights()[2:]])
            layer.momentum = 0.0
        elif isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            kernel, *bias = (weight.shape for weight in layer.weights)
            deviation = np.prod(kernel[:-1]) ** -0.5
            layer.set_weights([random.normal(0, deviation, kernel), *(random.normal(0, 0.1, one) for one in bias)])
    net(images, training=True)
    return net


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("ResNet50", 50),
        pytest.param("ResNet101", 101, marks=pytest.mark.slow),
        pytest.param("ResNet152", 152, marks=pytest.mark.slow),
    ],
)
def test_raw_pixels_give_the_probabilities_of_keras_applications(tmp_path, name, depth):
    pytest.importorskip("h5py")
    images = keras.applications.resnet.preprocess_input(IMAGES.astype(np.float32))
    net = settled(getattr(keras.applications, name)(weights=None, classes=CLASSES), images)
    net.save_weights(tmp_path / "net.weights.h5")
    net.save(tmp_path / "net.h5")
    net.save(tmp_path / "theirs.keras")
    expected = net.predict(images, verbose=0)
    assert np.ptp(expected, axis=0).max() > 1e-2  # outputs differ between images
    for file in ("net.weights.h5", "net.h5", "theirs.keras"):
        report = convert(tmp_path / file, tmp_path / "ours.keras")
        assert report.architecture.name == f"ResNet-{depth}"
        assert report.architecture.stride_in == "1x1"
        model = keras.models.load_model(tmp_path / "ours.keras")
        np.testing.assert_allclose(model.predict(IMAGES, verbose=0), expected, atol=1e-4)


@pytest.mark.any_backend
def test_other_nets_of_keras_applications_are_refused(tmp_path):
    pytest.importorskip("h5py")
    keras.applications.ResNet50V2(weights=None, classes=CLASSES).save_weights(tmp_path / "v2.weights.h5")
    with pytest.raises(OSError, match="Received: a ResNetV2"):
        convert(tmp_path / "v2.weights.h5", tmp_path / "net.keras")
    keras.applications.ResNet50(weights=None, include_top=False).save_weights(tmp_path / "headless.weights.h5")
    with pytest.raises(OSError, match="include_top=True"):
        convert(tmp_path / "headless.weights.h5", tmp_path / "net.keras")


def hub(block, blocks, **options):
    models = pytest.importorskip("keras_hub").models
    backbone = models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=blocks,
        stackwise_num_strides=[1, 2, 2, 2],
        block_type=f"{block}_block",
        image_shape=(224, 224, 3),
        **options,
    )
    return models.ResNetImageClassifier(backbone, CLASSES, activation="softmax")


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("block", "blocks", "architecture"),
    [
        ("basic", [2, 2, 2, 2], "ResNet-18 B"),
        ("bottleneck", [3, 4, 6, 3], "ResNet-50"),
        pytest.param("basic", [3, 4, 6, 3], "ResNet-34 B", marks=pytest.mark.slow),
        pytest.param("bottleneck", [3, 4, 23, 3], "ResNet-101", marks=pytest.mark.slow),
        pytest.param("bottleneck", [3, 8, 36, 3], "ResNet-152", marks=pytest.mark.slow),
    ],
)
def test_raw_pixels_give_the_probabilities_of_keras_hub(tmp_path, block, blocks, architecture):
    pytest.importorskip("h5py")
    mean, std = (255 * np.array(one) for one in IMAGENET)
    images = ((IMAGES - mean) / std).astype(np.float32)
    net = settled(hub(block, blocks), images)
    net.save_weights(tmp_path / "net.weights.h5")
    net.save(tmp_path / "theirs.keras")
    expected = net.predict(images, verbose=0)
    assert np.ptp(expected, axis=0).max() > 1e-2  # outputs differ between images
    for file in ("net.weights.h5", "theirs.keras"):
        report = convert(tmp_path / file, tmp_path / "ours.keras")
        assert (report.source, report.architecture.name) == ("KerasHub", architecture)
        assert report.architecture.shortcut == "B"
        assert report.parity.largest_logit_difference < 1e-4
        model = keras.models.load_model(tmp_path / "ours.keras")
        np.testing.assert_allclose(model.predict(IMAGES, verbose=0), expected, atol=1e-4)


@pytest.mark.any_backend
def test_other_nets_of_keras_hub_are_refused(tmp_path):
    pytest.importorskip("h5py")
    hub("basic", [2, 2, 2, 2], use_pre_activation=True).save_weights(tmp_path / "v2.weights.h5")
    with pytest.raises(OSError, match=r"KerasHub net is one of the nets in Table 1\. Received: a ResNetV2"):
        convert(tmp_path / "v2.weights.h5", tmp_path / "net.keras")
    hub("basic", [2, 2, 2, 2]).backbone.save_weights(tmp_path / "headless.weights.h5")
    with pytest.raises(OSError, match="not its backbone"):
        convert(tmp_path / "headless.weights.h5", tmp_path / "net.keras")
    hub("bottleneck", [2, 2, 2, 2]).save_weights(tmp_path / "26.weights.h5")
    with pytest.raises(OSError, match="Received: 2, 2, 2, 2 bottleneck units"):
        convert(tmp_path / "26.weights.h5", tmp_path / "net.keras")

"""ResNet50, ResNet101 and ResNet152 of keras.applications: the stride of a bottleneck in its first 1x1, as in Caffe.

Their layers have our names, their convolutions have biases, and their images are BGR with the ImageNet mean subtracted.
"""

from collections.abc import Mapping

import keras
import numpy as np

from resnet_keras.errors import InputOutput
from resnet_keras.spec.architecture import Architecture
from resnet_keras.spec.paper_nets import IMAGENET_UNITS, imagenet
from resnet_keras.weights.convert.limits import listed
from resnet_keras.weights.convert.source import ConvBN, Logits, Pixels, Source, check_names

PROJECT = "keras.applications"
EPSILON = 1.001e-5
PIXELS = Pixels(mean=(103.939, 116.779, 123.68), channels="BGR")
"""`preprocess_input` in mode "caffe"."""
BATCH = 10
"""Images per batch."""
_NORM = {"gamma": "gamma", "beta": "beta", "mean": "moving_mean", "variance": "moving_variance"}


def is_keras_applications(arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether the arrays have the layer names of keras.applications' ResNets."""
    return any(name in arrays for name in ("conv1_conv/kernel", "conv2_block1_1_conv/kernel"))


def keras_applications(arrays: Mapping[str, np.ndarray]) -> Source:
    """Reads a ResNet50, ResNet101 or ResNet152.

    Args:
        arrays: the weights by "layer/kernel", "layer/gamma", ...

    Raises:
        OSError: an array is missing, unknown or of another shape, or the file holds a ResNetV2 or no classifier.
    """
    if any("preact" in name or name.startswith("post_bn") for name in arrays):
        raise InputOutput(
            f"The paper's nets in {PROJECT} are ResNet50, 101 and 152. Received: a ResNetV2, which is a different net."
        )
    dense = [name.removesuffix("/kernel") for name in arrays if name.endswith("/kernel") and arrays[name].ndim == 2]
    if len(dense) != 1:
        raise InputOutput(
            f"A {PROJECT} net has one dense layer. Received: {listed(dense) or 'none'}. Save it with include_top=True."
        )
    depth = _depth(arrays)
    architecture = imagenet(depth, "B", arrays[f"{dense[0]}/kernel"].shape[1])
    shapes: dict[str, tuple[int, ...]] = {}
    for convolution in architecture.convolutions():
        size, filters = convolution.kernel_size, convolution.filters
        shapes[f"{convolution.name}_conv/kernel"] = (size, size, convolution.filters_in, filters)
        shapes[f"{convolution.name}_conv/bias"] = (filters,)
        shapes |= {f"{convolution.name}_bn/{part}": (filters,) for part in _NORM.values()}
    shapes |= {f"{dense[0]}/kernel": (2048, architecture.num_classes), f"{dense[0]}/bias": (architecture.num_classes,)}
    check_names(arrays, shapes, f"ResNet{depth} from {PROJECT}")
    layers = {
        name: ConvBN(
            arrays[f"{name}_conv/kernel"],
            **{ours: arrays[f"{name}_bn/{part}"] for ours, part in _NORM.items()},
            bias=arrays[f"{name}_conv/bias"],
        )
        for name in (convolution.name for convolution in architecture.convolutions())
    }
    return Source(
        PROJECT,
        None,
        architecture,
        layers,
        arrays[f"{dense[0]}/kernel"],
        arrays[f"{dense[0]}/bias"],
        epsilon=EPSILON,
        pixels=PIXELS,
        logits=_logits(architecture, arrays, dense[0]),
    )


def _depth(arrays: Mapping[str, np.ndarray]) -> int:
    units = tuple(
        sum(name.startswith(f"conv{stage}_block") and name.endswith("_1_conv/kernel") for name in arrays)
        for stage in (2, 3, 4, 5)
    )
    for depth, (kind, row) in IMAGENET_UNITS.items():
        if kind == "bottleneck" and row == units:
            return depth
    raise InputOutput(
        f"A {PROJECT} net is ResNet50, ResNet101 or ResNet152. Received: {', '.join(map(str, units))} blocks per stage."
    )


def _logits(architecture: Architecture, arrays: Mapping[str, np.ndarray], dense: str) -> Logits | None:
    """The computation of keras.applications' own net, or None where Keras is set to channels-first images."""
    if keras.config.image_data_format() != "channels_last":
        return None

    def logits(images: np.ndarray) -> np.ndarray:
        makers = {
            50: keras.applications.ResNet50,
            101: keras.applications.ResNet101,
            152: keras.applications.ResNet152,
        }
        size, classes = architecture.image_size, architecture.num_classes
        net = makers[architecture.depth](
            weights=None, input_shape=(size, size, 3), classes=classes, classifier_activation=None
        )
        for layer in net.layers:
            name = dense if isinstance(layer, keras.layers.Dense) else layer.name
            if layer.weights:
                layer.set_weights([arrays[f"{name}/{weight.name}"] for weight in layer.weights])
        own = keras.applications.resnet.preprocess_input(images.astype(np.float32))
        return np.asarray(net.predict(own, batch_size=BATCH, verbose=0))

    return logits

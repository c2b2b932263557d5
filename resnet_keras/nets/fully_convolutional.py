"""The fully convolutional form of a classifier (section 3.4)."""

import keras
import numpy as np
from keras import layers

from resnet_keras.errors import InvalidValue


def fully_convolutional(model: keras.Model) -> keras.Model:
    """The same net for images of any size: its dense layer becomes a 1x1 convolution (section 3.4).

    The score map's logits are averaged over all positions, then comes the softmax. Averaging is linear, so at the
    net's own size the output is that of the net.

    Args:
        model: it ends with global average pooling, a dense layer and a softmax.

    Returns:
        A new model with copies of the weights, of (batch, height, width, 3) to (batch, classes).

    Raises:
        ValueError: another ending, or layers that need one image size.
    """
    pool, dense = _head(model)
    features = keras.Model(model.inputs, pool.input)
    image = keras.Input((None, None, 3), name="image", dtype=model.inputs[0].dtype)
    try:
        body = keras.models.clone_model(features, input_tensors=[image])
        for old, new in zip(features.layers, body.layers, strict=True):
            new.set_weights(old.get_weights())
            if isinstance(new, layers.Normalization):
                new.finalize_state()
    except (ValueError, TypeError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise InvalidValue(
            f"Multi-scale testing takes a net for images of any size. Received: {model.name!r} ({lines[0]}). "
            "Use 1-crop or 10-crop."
        ) from error
    scoring = layers.Conv2D(dense.units, 1, data_format="channels_last", dtype=dense.dtype_policy, name="score_map")
    x = scoring(body.outputs[0])
    kernel, *bias = dense.get_weights()
    scoring.set_weights([kernel[None, None], *(bias or [np.zeros(dense.units)])])
    x = layers.GlobalAveragePooling2D(data_format="channels_last", dtype="float32", name="score")(x)
    return keras.Model(image, layers.Softmax(dtype="float32")(x), name=f"{model.name}-fully-convolutional")


def _head(model: keras.Model) -> tuple[keras.layers.Layer, keras.layers.Layer]:
    """The global average pooling and the dense layer at the model's end."""
    chain = list(model.layers)
    pools = [index for index, layer in enumerate(chain) if isinstance(layer, layers.GlobalAveragePooling2D)]
    if pools:
        pool, *tail = chain[pools[-1] :]
        dense = [layer for layer in tail if isinstance(layer, layers.Dense)]
        others = [layer for layer in tail if not isinstance(layer, (layers.Dense, layers.Dropout))]
        ending = all(isinstance(layer, (layers.Activation, layers.Softmax)) for layer in others) and len(others) <= 1
        if len(dense) == 1 and ending and pool.data_format == "channels_last":
            return pool, dense[0]
    raise InvalidValue(
        "The fully convolutional form is made from a net that ends with global average pooling, one dense layer and a "
        f"softmax. Received: {model.name!r}. Use 1-crop or 10-crop."
    )

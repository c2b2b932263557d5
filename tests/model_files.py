"""Model files for the tests: ours, and what others make of them. `zipfile` writes the archives, not our code."""

import io
import json
import warnings
import zipfile
from pathlib import Path

import keras
import numpy as np

from resnet_keras import Architecture, build, subtract_mean
from resnet_keras.weights import archive

METADATA, CONFIG, WEIGHTS = "metadata.json", "config.json", "model.weights.h5"


def images(architecture: Architecture, count: int = 2) -> np.ndarray:
    size = architecture.image_size
    return np.random.default_rng(3).integers(0, 256, (count, size, size, 3)).astype(np.uint8)


def write(path: Path | str, architecture: Architecture, *, compiled: bool = True, steps: int = 0) -> keras.Model:
    """Builds a net, draws its statistics, gammas, betas and biases at random, and saves it as a run does."""
    model = build(architecture, seed=1)
    x = images(architecture)
    subtract_mean(model, x.mean(axis=0))
    random = np.random.default_rng(5)
    for weight in model.weights:
        if "moving" in weight.path or weight.path.endswith(("gamma", "beta", "bias")):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
    if compiled:
        optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
        model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    if steps:
        model.fit(x, np.arange(len(x)) % architecture.num_classes, epochs=steps, verbose=0)
    model.save(path)
    archive.add_network(Path(path), architecture.to_dict())
    return model


def probabilities(model: keras.Model, architecture: Architecture) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(model(images(architecture), training=False)))


def unpack(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(*members: tuple[zipfile.ZipInfo | str, bytes], comment: bytes = b"") -> bytes:
    """An archive in the form that `load` accepts, unless a member's `ZipInfo` says otherwise."""
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as archive:
        warnings.simplefilter("ignore", UserWarning)  # two members with one name
        for name, content in members:
            archive.writestr(info(name) if isinstance(name, str) else name, content)
        archive.comment = comment
    return file.getvalue()


def info(name: str, **fields: object) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    member.create_system, member.external_attr = 3, 0o600 << 16
    for field, value in fields.items():
        setattr(member, field, value)
    return member


def repack(members: dict[str, bytes], **changed: object) -> bytes:
    """An archive of the members, with `metadata`, `config` or `weights` changed; what is not bytes becomes JSON."""
    names = {"metadata": METADATA, "config": CONFIG, "weights": WEIGHTS}
    new = members | {
        names[key]: value if isinstance(value, bytes) else json.dumps(value).encode() for key, value in changed.items()
    }
    return pack(*new.items())

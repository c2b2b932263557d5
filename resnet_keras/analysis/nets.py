"""The nets that are measured, read from files and given distinct names, or newly built; and rewired copies of them."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
from keras import layers

from resnet_keras.errors import InputOutput, InvalidValue
from resnet_keras.evaluation import classifier
from resnet_keras.nets.build import build
from resnet_keras.nets.serializing import without_tensorflow
from resnet_keras.runs import reading
from resnet_keras.spec.architecture import Architecture
from resnet_keras.spec.class_names import ClassNames
from resnet_keras.spec.measurements import State, Subject
from resnet_keras.weights import archive
from resnet_keras.weights.strict_json import Refused

Call = Callable[..., Any]
"""(layer, *its inputs) to its output: how a layer is called while a net is being rewired."""
INITIAL = "initial"
"""In place of a hash, for a net that was not read from a file."""


@dataclass(frozen=True)
class Net:
    """A net to measure.

    Attributes:
        subject: its name, depth and kind.
        model: from raw pixels 0..255 to probabilities.
        architecture: None where the file does not state it: another program wrote it.
        sha256: hash of the file, or `INITIAL`.
        class_names: what its outputs mean; None where this is unknown.
    """

    subject: Subject
    model: keras.Model
    architecture: Architecture | None
    sha256: str
    class_names: ClassNames | None = None

    def described(self) -> Architecture:
        """Its architecture, which names its units.

        Raises:
            ValueError: the file does not state it, or holds another net.
        """
        if self.architecture is None:
            raise InvalidValue(
                "Units and their shortcuts are those of plain and residual nets, in this project's files. Received: "
                f"{self.subject.name}, another net or another's file. Figure 7 takes any net with batch normalisation."
            )
        return self.architecture


def read(paths: Sequence[Path]) -> tuple[list[Net], list[str]]:
    """Reads nets, in the order given; nets that share a name get their location added to it.

    A run that cannot be read is left out of a folder of runs: the second value has a line about each.

    Args:
        paths: run folders, folders that hold run folders, `.keras` files.

    Raises:
        OSError: a file does not exist or cannot be loaded, or a folder has no runs that can be read.
        ValueError: a model is not an image classifier, or a file is given twice.
    """
    found: list[Path] = []
    skipped: list[str] = []
    for path in paths:
        inside, lines = _expanded(path)
        found += inside
        skipped += lines
    for path, count in Counter(path.resolve() for path in found).items():
        if count > 1:
            raise InvalidValue(f"Each net is given once. Received: {path} {count} times.")
    classifiers = [classifier.read(path) for path in found]
    names = told_apart([one.name for one in classifiers], found)
    nets = []
    for path, one, name in zip(found, classifiers, names, strict=True):
        architecture = _architecture(path)
        subject = _subject(name, one.model, architecture)
        nets.append(Net(subject, one.model, architecture, one.sha256, one.class_names))
    return nets, skipped


def initial(architecture: Architecture, state: State = "initial", *, seed: int = 0) -> Net:
    """The net as training would start it, or the same without batch normalisation; its name says which."""
    model = build(architecture, seed=seed)
    subject = Subject(f"{architecture.name} ({state})", architecture.depth, architecture.shortcut is not None)
    return Net(subject, model if state == "initial" else without_batch_norm(model), architecture, INITIAL)


def without_batch_norm(model: keras.Model) -> keras.Model:
    """The same net with each batch normalisation replaced by the identity: kernels stay the same, and nothing
    replaces gamma and beta."""
    return rewired(
        model,
        replacement=lambda layer: (
            layers.Identity(name=layer.name, dtype=layer.dtype_policy.name)
            if isinstance(layer, layers.BatchNormalization)
            else None
        ),
    )


def rewired(
    model: keras.Model,
    call: Call = lambda layer, *arguments: layer(*arguments),
    *,
    replacement: Callable[[layers.Layer], layers.Layer | None] = lambda _: None,
) -> keras.Model:
    """A copy with its own weights, made layer by layer; nested models are copied likewise.

    Args:
        model: a functional model.
        call: calls each new layer; its result goes to the layers that follow.
        replacement: gives what replaces a layer, without weights; None is a copy of the layer.
    """
    pairs = []

    def clone(layer: layers.Layer) -> layers.Layer:
        new = replacement(layer)
        if new is None:
            new = type(layer).from_config(layer.get_config())
            pairs.append((layer, new))
        return new

    def called(layer: layers.Layer, *arguments: Any, **_: Any) -> Any:
        # What Keras passes by name is `mask=None`, which not every replacement accepts.
        return call(layer, *arguments)

    with without_tensorflow():
        copy = keras.models.clone_model(model, clone_function=clone, call_function=called, recursive=True)
    for layer, new in pairs:
        new.set_weights(layer.get_weights())
        if isinstance(new, layers.Normalization):
            new.finalize_state()
    return copy


def told_apart(names: Sequence[str], paths: Sequence[Path]) -> list[str]:
    """The names; where several are equal, each with enough of the end of its path to tell it from the others."""
    ends = [(path.resolve().with_suffix("") if path.suffix == ".keras" else path.resolve()).parts for path in paths]
    labels = []
    for name, end in zip(names, ends, strict=True):
        same = [other for other_name, other in zip(names, ends, strict=True) if other_name == name]
        length = next((n for n in range(1, len(end)) if sum(other[-n:] == end[-n:] for other in same) == 1), len(end))
        labels.append(f"{name} ({'/'.join(end[-length:])})" if len(same) > 1 else name)
    return labels


def _expanded(path: Path) -> tuple[list[Path], list[str]]:
    """The run folders and files at a path, and a line about each run that cannot be read."""
    if not path.is_dir() or (path / reading.RUN).exists():
        return [path], []
    runs, skipped = reading.find_readable(path, recipes=False)
    found = []
    for run in runs:
        try:
            reading.model_file(run.path)
        except InputOutput as error:
            skipped.append(f"skipped: {error}")
        else:
            found.append(run.path)
    if skipped and not found:
        reason = skipped[0].removeprefix("skipped: ").rstrip(".")
        raise InputOutput(f"A net is read from a run folder that is intact and has ended. Received: {path} ({reason}).")
    return found or [path], skipped  # `classifier.read` says what is missing


def _architecture(path: Path) -> Architecture | None:
    try:
        network = archive.read(reading.model_file(path).path).network
    except Refused:
        return None
    return network if isinstance(network, Architecture) else None


def _subject(name: str, model: keras.Model, architecture: Architecture | None) -> Subject:
    if architecture is not None:
        return Subject(name, architecture.depth, architecture.shortcut is not None)
    weighted = sum(isinstance(layer, layers.Conv2D | layers.Dense) for layer in model.layers)
    return Subject(name, weighted, any(isinstance(layer, layers.Add) for layer in model.layers))

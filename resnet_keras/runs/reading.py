"""The run folder: the one contract between training, evaluation, plotting and the docs.

    run.json      what was run (architecture, recipe, data, seed, machine) and, at the end, its results
    metrics.csv   one row per evaluation period, keyed by iteration
    model.keras   what users load
    checkpoints/  what the run needs to resume: `checkpoints.py`

`run.json` ends with its own SHA-256 and, once the run has ended, holds those of the other files. No framework is
imported here: a figure needs only these files.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from resnet_keras.errors import Damaged, InputOutput
from resnet_keras.runs import storage
from resnet_keras.spec import records
from resnet_keras.spec.kinds import as_now
from resnet_keras.spec.known_data import CIFAR10_FINGERPRINT, CIFAR10_NONE_HELD_OUT
from resnet_keras.spec.paper_recipes import cifar10_recipe
from resnet_keras.spec.recipe import Recipe
from resnet_keras.spec.records import Results, Row

RUN, METRICS, MODEL = "run.json", "metrics.csv", "model.keras"
IDENTITY = ("architecture", "recipe", "data", "seed")
"""The settings that identify a run."""
DATA_IDENTITY = ("fingerprint", "image_size")
"""The fields that identify `data`: files may be renamed."""
SETTINGS = {
    *IDENTITY,
    *("backend", "device", "compiled", "distribution", "hardware", "versions", "command", "commit"),
    *("started", "begun_as", "continued", "ended", "results", "files", "sha256"),
}
"""Every field of `run.json`. Any other is damage, such as a flipped bit in the name `sha256`."""
UNSEALED = "0" * 64
SEAL_AT_END = re.compile(rb'"sha256": "([0-9a-f]{64})"\n}\n\Z')


@dataclass(frozen=True)
class Run:
    """A run folder, as read.

    Attributes:
        path: the folder.
        settings: `run.json`, with `architecture`, `recipe`, `data`, `seed`, ...
        rows: `metrics.csv`.
        results: None until the run has ended.
    """

    path: Path
    settings: dict[str, Any]
    rows: tuple[Row, ...]
    results: Results | None

    @property
    def name(self) -> str:
        """The network's name: "plain-20", "ResNet-56", ..."""
        return str(as_now(self.settings["architecture"])["name"])

    @property
    def recipe(self) -> Recipe:
        """How the run was trained.

        Raises:
            OSError: another version of this program wrote the recipe.
        """
        try:
            return Recipe.from_dict(self.settings["recipe"])
        except (KeyError, TypeError, ValueError, AttributeError):
            raise Damaged(f"A run's recipe is in the format of this version. Received: {self.path / RUN}.") from None

    @property
    def follows_paper(self) -> bool:
        """Whether the paper's CIFAR-10 errors are comparable: CIFAR-10 itself, same complete schedule (section 4.2)."""
        data, recipe = self.settings["data"], cifar10_recipe(self.settings["architecture"]["depth"])
        images = data.get("fingerprint") in (CIFAR10_FINGERPRINT, CIFAR10_NONE_HELD_OUT)
        return images and self.settings["recipe"] == json_roundtrip(recipe.to_dict())

    @property
    def all_images(self) -> bool:
        """Whether it was trained on all images of CIFAR-10's training set, with none held out."""
        return self.settings["data"].get("fingerprint") == CIFAR10_NONE_HELD_OUT

    @property
    def data_identity(self) -> tuple[Any, ...]:
        """Identity of the data: equal for two runs that saw the same images."""
        data = self.settings["data"]
        return tuple(data[field] for field in DATA_IDENTITY) if "fingerprint" in data else (json.dumps(data),)

    @property
    def training(self) -> str:
        """What the run shares with its other seeds: a digest of its architecture, recipe and data."""
        same = (self.settings["architecture"], self.settings["recipe"], self.data_identity)
        return storage.Digest.of(json.dumps(same, sort_keys=True).encode()).sha256[:16]

    def damaged_model(self) -> str | None:
        """What is wrong with `model.keras`, or None if it is as it was written, or absent."""
        known = (self.settings.get("files") or {}).get(MODEL)
        try:
            data = (self.path / MODEL).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            return f"{self.path / MODEL} ({error.strerror})"
        return None if known is None or storage.Digest.of(data) == storage.Digest(**known) else str(self.path / MODEL)


def read(path: str | PathLike[str]) -> Run:
    """Reads a run folder and checks its text files against their hashes, where it has them.

    Raises:
        OSError: no such folder, or files that are not as they were written.
    """
    path = Path(path)
    try:
        settings = _settings(path)
        metrics = (path / METRICS).read_bytes()
        known = (settings.get("files") or {}).get(METRICS)
        if known is not None and storage.Digest.of(metrics) != storage.Digest(**known):
            raise ValueError(f"{METRICS} does not match {RUN}")
        results = settings.get("results")
        return Run(path, settings, records.from_csv(metrics.decode()), Results(**results) if results else None)
    except FileNotFoundError as error:
        raise InputOutput(f"A run folder holds {RUN} and {METRICS}. Not found: {error.filename}.") from None
    except OSError as error:
        raise _unreadable(error, path) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(
            f"The files of a run folder are unchanged since they were written. Damaged: {path} ({error})."
        ) from None


class ModelFile(NamedTuple):
    """A net's file and, from the `run.json` beside it, its name and `Run.training`; None where no run wrote it."""

    path: Path
    name: str | None
    training: str | None


def model_file(path: str | PathLike[str]) -> ModelFile:
    """The file of a net, given as a run folder or as the file itself.

    A `model.keras` beside a `run.json` is that run's, and a net only once the run has ended: a finished run that is
    being lengthened still has its earlier one.

    Raises:
        OSError: there is no such file, its run has not ended, or it is not the file that the run wrote.
    """
    path = Path(path)
    file = path / MODEL if path.is_dir() else path
    if not file.is_file():
        hint = " Has the run ended?" if path.is_dir() else ""
        raise InputOutput(f"A net is a run folder with {MODEL}, or a .keras file. Not found: {file}.{hint}")
    if file.name != MODEL or not (file.parent / RUN).exists():
        return ModelFile(file, None, None)
    try:
        settings = _settings(file.parent)
        run = Run(file.parent, settings, (), Results(**settings["results"]) if settings.get("results") else None)
        name, training = run.name, run.training
    except OSError as error:
        raise _unreadable(error, file.parent) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(
            f"A {MODEL} is read with the {RUN} beside it. Damaged: {file.parent / RUN} ({error}). "
            f"To do without it, pass a copy of {MODEL} from another folder."
        ) from None
    if run.results is None:
        raise InputOutput(
            f"A net is read from a run that has ended. Received: {file.parent}, whose run has not. Let it end (its "
            f"command resumes it if it was stopped), or pass a copy of its {MODEL}."
        )
    if broken := run.damaged_model():
        raise Damaged(
            f"A model file is unchanged since it was written. Damaged: {broken}. The run's command writes it again."
        )
    return ModelFile(file, name, training)


def find_readable(path: str | PathLike[str], *, recipes: bool = True) -> tuple[list[Run], list[str]]:
    """The runs in a folder that may hold anything, at any depth, sorted by path, and a line about each `run.json` that
    this version cannot read.

    Args:
        path: the folder.
        recipes: whether a run is left out too if only its recipe is in another version's format; a net needs none.

    Raises:
        OSError: the folder is itself a run folder whose files are not as they were written.
    """
    path = Path(path)
    if (path / RUN).exists():
        return [read(path)], []
    found, skipped = [], []
    for file in sorted(path.rglob(RUN)):
        try:
            run = read(file.parent)
            if recipes:
                run.recipe  # noqa: B018  # raises
        except InputOutput as error:
            skipped.append(f"skipped: {error}")
        else:
            found.append(run)
    return found, skipped


def _unreadable(error: OSError, path: Path) -> InputOutput:
    return InputOutput(f"The files of a run folder can be read. Received: {error.filename or path} ({error.strerror}).")


def _settings(path: Path) -> dict[str, Any]:
    """The contents of a run folder's `run.json`."""
    settings = unseal((path / RUN).read_bytes())
    for field in IDENTITY:
        settings[field]
    return settings


def seal(settings: Mapping[str, Any]) -> bytes:
    """The bytes of `run.json`, whose last field is their SHA-256, computed with zeros in its place."""
    text = (json.dumps({**settings, "sha256": UNSEALED}, indent=2) + "\n").encode()
    before, _, after = text.rpartition(UNSEALED.encode())
    return before + storage.Digest.of(text).sha256.encode() + after


def unseal(data: bytes) -> dict[str, Any]:
    """The settings in the bytes of `run.json`. Files of version 0.1 have no hash.

    Raises:
        ValueError: the bytes are not as they were written.
    """
    settings = json.loads(data)
    if not isinstance(settings, dict) or not settings.keys() <= SETTINGS:
        raise ValueError(f"{RUN} has unexpected fields")
    held = settings.pop("sha256", None)
    if held is None and settings.get("files") is None:
        return settings
    end = SEAL_AT_END.search(data)
    if not end or held is None:
        raise ValueError(f"{RUN} does not end with its hash")
    zeroed = data[: end.start(1)] + UNSEALED.encode() + data[end.end(1) :]
    if storage.Digest.of(zeroed).sha256 != held:
        raise ValueError(f"{RUN} does not match its hash")
    return settings


def json_roundtrip(value: Any) -> Any:
    """The value as it would come back from a file: tuples as lists."""
    return json.loads(json.dumps(value))

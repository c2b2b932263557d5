"""Imports point down only: each module of the package imports those above it in this list, and no others."""

import ast

import pytest
from conftest import ROOT

pytestmark = pytest.mark.any_backend

ROOMS = [
    "errors",
    "units",
    "architectures",
    "records",
    "schedules",
    "recipe",
    "reference",
    "storage",
    "checkpoints",
    "hdf5",
    "saved",
    "runs",
    "folder",
    "scores",
    "tables",
    "plotting",
    "views",
    "data.dataset",
    "data.stream",
    "data.images",
    "data.generated",
    "data.sources",
    "stopping",
    "data.decoding",
    "data.splits",
    "data.augmentation",
    "data.photographs",
    "cli",
    # from here on with Keras
    "machine",
    "blocks",
    "models",
    "straight",
    "fused",
    "loading",
    "precise",
    "classifier",
    "evaluation",
    "progress",
    "snapshot",
    "resident",
    "feeding",
    "loop",
    "vectorised",
    "twin",
    "training",
    "estimate",
    "experiment",
]
FIRST_WITH_KERAS = ROOMS.index("machine")
PACKAGE = ROOT / "resnet_keras"


def imports(room):
    path = PACKAGE / (room.replace(".", "/") + ".py")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{room}: imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_module_has_its_place():
    found = {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py"
    }
    assert found == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_down(room):
    above = ROOMS[ROOMS.index(room) :]
    for name in imports(room):
        if name.startswith("resnet_keras."):
            assert not any(name.removeprefix("resnet_keras.").startswith(other) for other in above), name


@pytest.mark.parametrize("room", ROOMS[:FIRST_WITH_KERAS])
def test_no_framework_is_imported_above(room):
    frameworks = {"keras", "tensorflow", "jax", "torch"}
    assert not frameworks & {name.split(".")[0] for name in imports(room)}

"""The trials of a search, read from run folders, of which any may be damaged."""

import pytest

from resnet_keras import Recipe, cifar10
from resnet_keras.reports import trials
from resnet_keras.runs.writing import RunFolder
from resnet_keras.spec.records import Results
from resnet_keras.spec.schedules import Steps

pytestmark = pytest.mark.any_backend


def test_a_damaged_trial_is_named_and_the_others_are_read(tmp_path):
    recipe = Recipe(iterations=300, schedule=Steps((150,)), evaluate_every=100, learning_rate=0.25)
    settings = {"architecture": cifar10(14, "B").to_dict(), "recipe": recipe.to_dict(), "data": {}, "seed": 0}
    for number in (10, 2, 1):
        RunFolder(tmp_path / "trials" / f"trial-{number}", settings).finish(Results(1.0, 20.0 + number, 3.0))
    (tmp_path / "trials" / "trial-1" / "run.json").write_text("{")
    found, skipped = trials.read(tmp_path)
    assert [(one.run, one.depth, one.shortcut, one.learning_rate, one.validation_error) for one in found] == [
        ("trials/trial-2", 14, "B", 0.25, 22.0),
        ("trials/trial-10", 14, "B", 0.25, 30.0),
    ]
    assert len(skipped) == 1
    assert "trial-1" in skipped[0]

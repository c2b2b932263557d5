"""TensorBoard events, read by TensorBoard itself: equal to metrics.csv, even after a run was continued."""

from pathlib import Path

import numpy as np
import pytest
from conftest import run_python

pytest.importorskip("tensorboard")

from resnet_keras import Recipe, cifar10, run
from resnet_keras.runs import events, reading
from resnet_keras.runs.events import Events
from resnet_keras.spec.augmentation import PaddedCrop
from resnet_keras.spec.records import Row
from resnet_keras.spec.schedules import Steps

pytestmark = pytest.mark.any_backend


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard's own reader finds, as lists, in which duplicates would show."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder / events.FOLDER), purge_orphaned_data=False)
    accumulator.Reload()
    return {tag: [(one.step, one.value) for one in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]}


def check(folder: Path) -> None:
    rows = reading.read(folder).rows
    found = scalars(folder)
    assert set(found) == set(Row._fields) - {"iteration"}
    for tag, points in found.items():
        assert [step for step, _ in points] == [row.iteration for row in rows]
        np.testing.assert_allclose([value for _, value in points], [getattr(row, tag) for row in rows], rtol=1e-5)


def test_events_are_the_rows_also_where_a_run_goes_on(small_data, tmp_path):
    net = cifar10(8, num_classes=3, image_size=8)
    recipe = Recipe(iterations=4, schedule=Steps(()), batch_size=6, augmentation=PaddedCrop(1), evaluate_every=2)
    out = tmp_path / "run"
    run(net, recipe, small_data, seed=0, out=out, tensorboard=True)
    check(out)
    # An event of a row that was lost, as from a process that was killed before its checkpoint.
    before = reading.read(out)
    Events(out, before.settings["started"], before.rows).add(before.rows[-1]._replace(iteration=5))
    with pytest.raises(AssertionError):
        check(out)
    longer = Recipe(iterations=8, schedule=Steps(()), batch_size=6, augmentation=PaddedCrop(1), evaluate_every=2)
    run(net, longer, small_data, seed=0, out=out, tensorboard=True)
    assert len(reading.read(out).rows) == 4
    check(out)
    assert len(list((out / events.FOLDER).iterdir())) == 1
    # A finished run without events gets them.
    run(net, recipe, small_data, seed=1, out=tmp_path / "other")
    run(net, recipe, small_data, seed=1, out=tmp_path / "other", tensorboard=True)
    check(tmp_path / "other")


def test_a_file_that_tensorboard_has_open_goes_on(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    rows = [Row(n, 0.1, 50.0 - n, 60.0, 1.0, 1.0, 100.0, float(n)) for n in (1, 2, 3)]
    written = Events(tmp_path, "2026-01-01T00:00:00+00:00", rows[:1])
    accumulator = EventAccumulator(str(tmp_path / events.FOLDER))
    accumulator.Reload()
    assert [one.step for one in accumulator.Scalars("train_error")] == [1]
    for row in rows[1:]:
        written.add(row)
    accumulator.Reload()
    found = accumulator.Scalars("train_error")
    assert [(one.step, one.value) for one in found] == [(1, 49.0), (2, 48.0), (3, 47.0)]
    assert [one.wall_time - found[0].wall_time for one in found] == [0, 1, 2]


def test_events_of_other_programs_stay(tmp_path):
    """Named as PyTorch and TensorFlow name them."""
    folder = tmp_path / events.FOLDER
    folder.mkdir()
    others = [f"events.out.tfevents.{end}" for end in ("1700000000.host.123.0", "1700000000.host.123.0.v2")]
    for name in others:
        (folder / name).write_text("another program's")
    for _ in range(2):
        Events(tmp_path, "2026-01-01T00:00:00+00:00", [])
    assert [(folder / name).read_text() for name in others] == ["another program's"] * 2
    assert len(list(folder.iterdir())) == 3


def test_no_framework_is_imported_for_events(tmp_path):
    code = (
        "import sys; from pathlib import Path; from resnet_keras.runs.events import Events\n"
        f"Events(Path({str(tmp_path)!r}), '2026-01-01T00:00:00+00:00', [])\n"
        "print(sorted({'tensorflow', 'keras', 'torch', 'jax'} & set(sys.modules)))"
    )
    assert run_python("-c", code).stdout.strip() == "[]"


def test_without_tensorboard_it_is_one_line(monkeypatch, tmp_path):
    hide = tmp_path / "sitecustomize.py"
    hide.write_text("import importlib.util as u\nreal = u.find_spec\n"
                    "u.find_spec = lambda name, *a: None if name == 'tensorboard' else real(name, *a)\n")  # fmt: skip
    done = run_python("recipes/cifar10.py", "--depth", "8", "--tensorboard", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert 'pip install -e ".[tensorboard]"' in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1

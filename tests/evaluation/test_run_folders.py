"""A net is read from a run folder only where it is the one that the run, now ended, wrote."""

import json
import shutil

import pytest
from conftest import run_python

from resnet_keras import Damaged, InputOutput, build, cifar10
from resnet_keras.analysis import nets
from resnet_keras.evaluation import classifier
from resnet_keras.experiments import finetune
from resnet_keras.experiments.tune import widened
from resnet_keras.runs import reading
from resnet_keras.runs.writing import RunFolder
from resnet_keras.spec.records import Results
from resnet_keras.weights.save import write

pytestmark = pytest.mark.any_backend

NET = widened(cifar10(8, num_classes=3, image_size=8), 4)
SETTINGS = {"architecture": NET.to_dict(), "recipe": {}, "data": {}, "seed": 0}
READERS = {"evaluate": classifier.read, "fine-tune": finetune.read, "figures": lambda path: nets.read([path])}
PATHS = {"the folder": "", "its file": "model.keras"}


@pytest.fixture
def finished(tmp_path):
    path = tmp_path / "run"
    run = RunFolder(path, SETTINGS)
    run.save_model(lambda aside: write(build(NET, seed=1), aside, NET))
    run.finish(Results(1.0, 2.0, 3.0))
    return path


@pytest.fixture
def lengthened(finished):
    """A finished run that was started again with more iterations: its earlier model is still there."""
    RunFolder(finished, SETTINGS)
    return finished


@pytest.mark.parametrize("name", PATHS.values(), ids=PATHS)
def test_a_finished_run_is_read_by_its_name(finished, name):
    assert NET.name == "ResNet-8 width 4"
    assert classifier.read(finished / name).name == NET.name
    assert nets.read([finished / name])[0][0].subject.name == NET.name
    assert finetune.read(finished / name).network == NET


@pytest.mark.parametrize("name", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("how", READERS)
def test_another_file_than_the_run_wrote_is_damaged(finished, how, name):
    """A whole file, which Keras would open: only its hash tells."""
    write(build(NET, seed=2), finished / "model.keras", NET)
    with pytest.raises(Damaged, match=r"unchanged.*Damaged: .*model\.keras") as caught:
        READERS[how](finished / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("how", READERS)
def test_the_earlier_model_of_a_run_in_training_is_read_only_as_a_copy(lengthened, how, name, tmp_path):
    with pytest.raises(InputOutput, match=r"has ended\. Received: .*run.*copy") as caught:
        READERS[how](lengthened / name)
    assert not isinstance(caught.value, Damaged)
    assert "\n" not in str(caught.value)
    shutil.copy(lengthened / "model.keras", tmp_path / "copy.keras")
    READERS[how](tmp_path / "copy.keras")


@pytest.mark.parametrize("how", READERS)
def test_a_run_without_its_model_is_named(finished, how):
    (finished / "model.keras").unlink()
    with pytest.raises(InputOutput, match=r"Not found: .*model\.keras.*Has the run ended"):
        READERS[how](finished)


def test_a_run_folder_of_version_0_1_has_no_hashes_and_is_read(finished):
    old = reading.unseal((finished / "run.json").read_bytes())
    del old["files"]
    (finished / "run.json").write_text(json.dumps(old, indent=2) + "\n")
    assert classifier.read(finished).name == NET.name


def test_a_run_json_that_is_not_as_written_is_named(finished):
    (finished / "run.json").write_text('{"accuracy": 1}')
    for name in PATHS.values():
        with pytest.raises(Damaged, match=r"Damaged: .*run\.json.*copy"):
            classifier.read(finished / name)


@pytest.mark.parametrize("recipe", ["evaluate", "export", "precise"])
def test_the_recipes_refuse_it_in_one_line(lengthened, recipe, tmp_path):
    out = str(tmp_path / "x.keras")
    options = {"export": ["--to", "onnx", "--out", out], "precise": ["--data-dir", "absent", "--out", out]}
    done = run_python(f"recipes/{recipe}.py", str(lengthened), *options.get(recipe, []))
    assert done.returncode == 4, done.stderr
    assert "has ended. Received" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_seeds_are_told_by_their_runs_alone(finished):
    """Without `metrics.csv` too, which no net needs; another recipe is another training."""
    (finished / "metrics.csv").unlink()
    training = reading.model_file(finished).training
    assert training == reading.model_file(finished / "model.keras").training
    for changed, same in (({"seed": 1}, True), ({"recipe": {"batch_size": 64}}, False)):
        other = RunFolder(finished.with_name("other"), SETTINGS | changed)
        other.save_model(lambda aside: write(build(NET, seed=2), aside, NET))
        other.finish(Results(1.0, 2.0, 3.0))
        assert (reading.model_file(other.path).training == training) is same
        shutil.rmtree(other.path)
    shutil.copy(finished / "model.keras", finished.parent / "copy.keras")
    assert reading.model_file(finished.parent / "copy.keras").training is None


@pytest.mark.parametrize("file", ["run.json", "model.keras"])
def test_a_damaged_run_among_others_is_named_and_they_are_read(finished, file):
    shutil.copytree(finished, finished.with_name("damaged"))
    (finished.with_name("damaged") / file).write_text("{")
    found, skipped = nets.read([finished.parent])
    assert [net.subject.name for net in found] == [NET.name]
    assert len(skipped) == 1
    assert str(finished.with_name("damaged")) in skipped[0]
    unreadable = finished.with_name("unreadable")
    (unreadable / "run.json").mkdir(parents=True)
    assert sorted(str(unreadable) in line for line in nets.read([finished.parent])[1]) == [False, True]
    shutil.rmtree(unreadable)
    shutil.rmtree(finished)
    with pytest.raises(InputOutput, match=r"/damaged\b") as caught:
        nets.read([finished.parent])
    assert "\n" not in str(caught.value)

"""Others' curves beside ours, and what --all makes of a folder with anything in it."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import run_python
from made_runs import a_run

from resnet_keras import Damaged, InputOutput, InvalidValue, imagenet, plotting
from resnet_keras.plotting import from_runs
from resnet_keras.spec.augmentation import ScaledCrop

pytestmark = pytest.mark.any_backend

PER_EPOCH = "epoch,train_loss,train_err,test_err\n0,1.5,0.6,0.55\n1,1.0,0.5,0.45\n"
PER_ITERATION = """iteration,minibatch_loss,minibatch_accuracy,test_loss,test_accuracy
0,2.8,0.1,,
100,1.4,0.4,,
200,1.3,0.5,1.1,0.45
300,1.2,0.7,1.0,0.75
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "a-b").mkdir()
    epochs, iterations = tmp_path / "a-b" / "plainnet20.csv", tmp_path / "someone-else-resnet56.csv"
    epochs.write_text(PER_EPOCH)
    iterations.write_text(PER_ITERATION)
    return epochs, iterations


def a_photograph_run(depth=18, shortcut="A"):
    run = a_run(20)
    recipe = replace(run.recipe, augmentation=ScaledCrop()).to_dict()
    data = {"name": "imagenette", "image_size": 64, "generated": False}
    return replace(
        run,
        settings=run.settings | {"architecture": imagenet(depth, shortcut).to_dict(), "recipe": recipe, "data": data},
    )


def test_an_epoch_is_391_updates_of_128_of_50000_images(files):
    curve = plotting.read_curve(str(files[0]))
    assert (curve.name, curve.depth, curve.residual, curve.source) == ("plain-20", 20, False, "a-b")
    assert curve.iteration.tolist() == [391, 782]
    np.testing.assert_allclose(curve.train_error, [[60, 50]])
    np.testing.assert_allclose(curve.validation_error, [[55, 45]])


def test_of_a_log_the_training_error_is_the_mean_since_the_test_before(files):
    curve = plotting.read_curve(files[1])
    assert (curve.name, curve.source) == ("ResNet-56", "someone-else")
    assert curve.iteration.tolist() == [200, 300]
    np.testing.assert_allclose(curve.train_error, [[(90 + 60 + 50) / 3, 30]])
    np.testing.assert_allclose(curve.validation_error, [[55, 25]])


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("resnet20.csv", "a,b\n1,2\n", InputOutput),
        ("resnet20.csv", PER_EPOCH + "2,1.0\n", Damaged),
        ("resnet20.csv", "epoch,train_loss,train_err,test_err\n", InputOutput),
        ("curve.csv", PER_EPOCH, InvalidValue),
        ("resnet21.csv", None, InputOutput),
    ],
)
def test_a_file_that_is_no_curve_is_one_line(name, text, error, tmp_path):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(error) as caught:
        plotting.read_curve(tmp_path / name)
    assert type(caught.value) is error


def test_others_have_a_line_of_their_own_and_their_name_in_the_legend(files):
    others = [plotting.read_curve(file) for file in files]
    figure = plotting.figure_6([a_run(20, None), a_run(56)], others=others)
    plain, residual = figure.axes
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert figure.get_supxlabel().startswith("ours: 64,000 iterations")
    assert labels[:4] == ["ours, training", "ours, validation", "a-b, training", "a-b, test"]
    assert labels[4:6] == ["someone-else, training", "someone-else, test"]
    for ax in (plain, residual):
        curves = [line for line in ax.lines if len(line.get_xdata()) > 1]
        assert len({(str(line.get_linestyle()), str(line._unscaled_dash_pattern)) for line in curves}) == 4
        assert len({line.get_color() for line in curves}) == 1  # one net, one colour
    assert len(residual.texts) == 1


def test_others_do_not_stand_beside_runs_on_other_images(files):
    with pytest.raises(InvalidValue, match="at 16"):
        plotting.figure_6([a_run(20, size=16)], others=[plotting.read_curve(files[0])])


def test_each_figure_takes_the_runs_that_it_is_of():
    runs = [a_run(20), a_run(20, None), a_photograph_run()]
    assert "ResNet-18" in from_runs.draw("4", runs).csv
    assert "ResNet-20" not in from_runs.draw("4", runs).csv
    drawn = from_runs.draw("6", runs).csv.splitlines()
    assert drawn[0].startswith("net,source,seeds,iteration,train_error,train_error_std,validation_error")
    assert drawn[1] == "ResNet-20,,1,100,50,,55,"
    assert {line.split(",")[0] for line in drawn[1:]} == {"plain-20", "ResNet-20"}
    assert {line.split(",")[0] for line in from_runs.draw("1", runs).csv.splitlines()[1:]} == {"plain-20"}
    with pytest.raises(InvalidValue, match="photographs"):
        from_runs.draw("4", runs[:2])


def test_the_csv_has_mean_and_sample_deviation_of_the_seeds():
    runs = [a_run(8, seed=seed, offset=offset) for seed, offset in enumerate((-2.0, 0.0, 2.0))]
    assert from_runs.draw("6", runs).csv.splitlines()[1] == "ResNet-8,,3,100,50,2,55,2"


def test_all_draws_each_kind_of_runs_and_says_what_it_does_not(files):
    other = [plotting.read_curve(files[0])]
    made = list(from_runs.draw_all([a_run(20), a_run(56), a_run(20, None, size=16)], others=other))
    drawings = [one for one in made if not isinstance(one, str)]
    assert [one.name for one in drawings] == ["figure-1", "figure-1-2", "figure-6", "figure-6-2"]
    assert [line.split(" was")[0] for line in made if isinstance(line, str)] == ["Figure 4"]
    assert "a-b" in drawings[2].csv
    assert "a-b" not in drawings[3].csv


def test_all_of_a_folder_that_holds_anything(tmp_path, files):
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "run.json").write_text('{"name": "another program"}')
    out = tmp_path / "out"
    # None has a model.keras: to measure nets, the program would look for CIFAR-10 and download it.
    folders = [f"results/{name}" for name in ("degradation", "cifar10-resnet20-4000", "photographs")]
    folders.append("tests/files/8d48f2f/torch/interrupted")
    done = run_python("recipes/figures.py", "--all", *folders, str(tmp_path), "--out", str(out))
    assert done.returncode == 0, done.stderr
    names = {path.name for path in out.iterdir()}
    for name in ("figure-1", "figure-4", "figure-6", "figure-6-2", "figure-6-3"):
        assert {f"{name}.png", f"{name}.svg", f"{name}.csv"} <= names
    lines = done.stderr.splitlines()
    assert any(line.startswith("skipped: ") and "foreign" in line for line in lines)
    assert "Figures 7, gradients, surface were not drawn: no model.keras of a finished run." in lines
    assert "Traceback" not in done.stderr

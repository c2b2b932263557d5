"""Figures 1 and 6 show what the run folders hold."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import run_python
from made_runs import ITERATIONS, a_run

from resnet_keras import InvalidValue, imagenet, plotting
from resnet_keras.plotting import style
from resnet_keras.reports.published import cifar10_error
from resnet_keras.runs.reading import Run
from resnet_keras.spec.known_data import CIFAR10_NONE_HELD_OUT

pytestmark = pytest.mark.any_backend


def lines(ax):
    return {(line.get_linestyle(), line.get_linewidth()): line for line in ax.lines if len(line.get_xdata()) > 1}


def test_figure_6_has_plain_nets_left_and_residual_nets_right():
    figure = plotting.figure_6([a_run(20), a_run(20, None, offset=9), a_run(56), a_run(56, None)])
    assert [ax.get_title() for ax in figure.axes] == ["plain nets", "residual nets"]
    assert [{text.get_text() for text in ax.texts} for ax in figure.axes] == [{"20-layer", "56-layer"}] * 2


def test_figure_6_gets_a_third_panel_for_more_than_110_layers():
    figure = plotting.figure_6([a_run(depth) for depth in (20, 110, 1202)])
    panels = [{text.get_text() for text in ax.texts} for ax in figure.axes]
    assert panels == [{"20-layer", "110-layer"}, {"110-layer", "1202-layer"}]
    assert len(plotting.figure_6([a_run(110), a_run(1202, None, offset=9)]).axes) == 2  # the third is for residual nets


def test_labels_of_curves_that_end_together_do_not_lie_on_each_other():
    figure = plotting.figure_6([a_run(20), a_run(56), a_run(110, offset=0.1), a_run(44, None, offset=20)])
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[1].texts]
    assert len(boxes) == 3
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])


def test_training_is_thin_and_dashed_and_validation_bold():
    ax = plotting.figure_6([a_run(8)]).axes[0]
    thin, bold = sorted(
        (line for line in ax.lines if len(line.get_xdata()) == 3), key=lambda line: line.get_linewidth()
    )
    np.testing.assert_allclose(thin.get_ydata(), [50, 40, 30])
    np.testing.assert_allclose(bold.get_ydata(), [55, 45, 35])
    np.testing.assert_array_equal(thin.get_xdata(), ITERATIONS)
    assert thin.is_dashed()
    assert not bold.is_dashed()
    assert bold.get_linewidth() >= 1.8 * thin.get_linewidth()


def test_several_seeds_are_one_curve_with_their_standard_deviation():
    found = plotting.curves([a_run(8, seed=seed, offset=offset) for seed, offset in enumerate((-2.0, 0.0, 2.0))])
    assert len(found) == 1
    ax = plotting.figure_6([a_run(8, seed=s, offset=o) for s, o in enumerate((-2.0, 0.0, 2.0))]).axes[0]
    band = ax.collections[0].get_paths()[0].vertices  # of the training error: mean 50, sample std 2 at the first point
    at_first = band[band[:, 0] == 100, 1]
    assert (at_first.min(), at_first.max()) == pytest.approx((48, 52))


def test_seeds_are_compared_by_iteration_not_by_row():
    """A lengthened run measured at 100, 200 and 300; one that was that long from the start, at 200 and 300."""
    short = a_run(8, seed=1, offset=10.0)
    short = replace(short, rows=short.rows[1:])
    (curve,) = plotting.curves([a_run(8), short])
    assert curve.iteration.tolist() == [200, 300]
    np.testing.assert_allclose(curve.train_error, [[40, 30], [50, 40]])
    with pytest.raises(InvalidValue, match="no such iteration"):
        plotting.curves([replace(a_run(8), rows=a_run(8).rows[:1]), short])


def test_text_of_the_users_is_no_mathematics(tmp_path):
    run = a_run(8)
    for name in ("price $x_{", "50 $ off", "a$b$c", r"\frac{1}{2} $"):
        named = replace(run, settings=run.settings | {"data": run.settings["data"] | {"name": name}})
        figure = plotting.figure_6([named])
        plotting.save(figure, tmp_path / "figure")
        assert name in figure.get_suptitle()


def test_the_papers_errors_are_marks_where_the_experiment_is_the_papers():
    def marks(runs):
        return [line.get_ydata()[0] for line in plotting.figure_6(runs).axes[0].lines if line.get_marker() == "D"]

    assert marks([a_run(20), a_run(56)]) == [cifar10_error("ResNet-20"), cifar10_error("ResNet-56")] == [8.75, 6.97]
    assert marks([a_run(20, size=16)]) == []
    assert marks([a_run(20, generated=True)]) == []
    assert marks([a_run(20, None)]) == []
    assert marks([a_run(20, iterations=4_000)]) == []


def test_the_line_under_a_figure_names_a_precision_below_float32():
    def caption(precision):
        run = a_run(20)
        run.settings["recipe"]["precision"] = precision
        return " ".join(text.get_text() for text in plotting.figure_6([run]).texts)

    assert caption("mixed_bfloat16").endswith("Keras on jax, mixed_bfloat16")
    assert caption("float32").endswith("Keras on jax")


def test_the_text_says_when_lines_are_means_and_when_no_images_were_held_out():
    one = plotting.figure_1([a_run(20, None)])
    assert "mean" not in one.get_supxlabel()
    assert one.axes[1].get_ylabel() == "validation error (%)"
    every = [a_run(20, None, seed=seed) for seed in (0, 1)]
    for run in every:
        run.settings["data"]["fingerprint"] = CIFAR10_NONE_HELD_OUT
    two = plotting.figure_1(every)
    assert "seeds 0, 1; mean ± standard deviation; Keras on jax" in two.get_supxlabel()
    assert two.axes[1].get_ylabel() == "test error (%)"
    assert two.get_suptitle() == "CIFAR-10, no images held out"
    legend = [text.get_text() for text in plotting.figure_6(every).axes[0].get_legend().get_texts()]
    assert legend == ["training", "test"]


def test_runs_that_cannot_be_compared_are_refused():
    for other in (a_run(56, size=16), a_run(56, iterations=4_000), a_run(56, generated=True)):
        with pytest.raises(InvalidValue, match="2 kinds"):
            plotting.figure_6([a_run(20), other])
    caption = plotting.figure_6([a_run(56), a_run(110)]).texts  # the warm-up belongs to the net
    assert any(
        "learning rate 0.1, divided" in text.get_text() and "ResNet-110 warmed up" in text.get_text()
        for text in caption
    )
    warm = a_run(8, seed=1)
    warm.settings["recipe"]["warmup"] = a_run(110).settings["recipe"]["warmup"]
    with pytest.raises(InvalidValue, match="2 kinds"):
        plotting.figure_6([a_run(8), warm])


def test_one_seed_twice_is_no_band():
    with pytest.raises(InvalidValue, match="2 of ResNet-20 with seed 0"):
        plotting.curves([a_run(20), a_run(20)])


def test_nets_of_one_depth_are_told_apart_by_name():
    texts = {text.get_text() for text in plotting.figure_6([a_run(8), a_run(8, "B"), a_run(14)]).axes[0].texts}
    assert texts == {"ResNet-8", "ResNet-8 B", "14-layer"}


def test_a_name_with_a_dot_stays_whole(tmp_path):
    png, svg = plotting.save(plotting.figure_6([a_run(8)]), tmp_path / "rate-0.1")
    assert (png.name, svg.name) == ("rate-0.1.png", "rate-0.1.svg")


def test_a_run_that_has_just_begun_is_left_out():
    begun = Run(Path("y"), a_run(56).settings, (), None)
    assert [curve.name for curve in plotting.curves([a_run(20), begun])] == ["ResNet-20"]
    with pytest.raises(InvalidValue, match="row"):
        plotting.figure_6([begun])


def test_generated_images_are_named_in_the_title():
    assert "not CIFAR-10" in plotting.figure_6([a_run(8, generated=True, size=16)]).get_suptitle()
    assert "averaged to 16 x 16" in plotting.figure_6([a_run(8, size=16)]).get_suptitle()


def test_the_papers_axis_is_0_to_20_percent():
    assert plotting.figure_6([a_run(20)], axis="paper").axes[0].get_ylim() == (0, 20)
    assert plotting.figure_6([a_run(20)]).axes[0].get_ylim()[1] > 50


def test_figure_1_shows_plain_nets_training_left_and_validation_right():
    figure = plotting.figure_1([a_run(20, None), a_run(56, None), a_run(20)])
    left, right = figure.axes
    np.testing.assert_allclose(left.lines[0].get_ydata(), [50, 40, 30])
    np.testing.assert_allclose(right.lines[0].get_ydata(), [55, 45, 35])
    assert len(left.texts) == 2
    with pytest.raises(InvalidValue, match="plain"):
        plotting.figure_1([a_run(20)])


def test_depths_differ_in_lightness_for_grey_print():
    rgb = np.array([colour[:3] for colour in style.colours(4)])
    lightness = rgb @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) < -0.1).all()


def test_png_and_svg_are_written_and_the_svg_is_the_same_each_time(tmp_path):
    runs = [a_run(8), a_run(20, None)]
    first = plotting.save(plotting.figure_6(runs), tmp_path / "a")
    second = plotting.save(plotting.figure_6(runs), tmp_path / "b")
    assert first[0].read_bytes().startswith(b"\x89PNG")
    assert first[1].read_bytes() == second[1].read_bytes()


def test_variables_that_matplotlib_refuses_are_no_reason_not_to_draw(tmp_path):
    """It checks the name of its backend on import, and parses a date even for an SVG that is to have none."""
    code = (
        "import sys, os; sys.path.insert(0, 'tests'); from resnet_keras import plotting; from made_runs import a_run; "
        "plotting.save(plotting.figure_6([a_run(8)]), sys.argv[1]); print(os.environ['MPLBACKEND'])"
    )
    done = run_python("-c", code, str(tmp_path / "drawn"), MPLBACKEND="foo", SOURCE_DATE_EPOCH="abc")
    assert (done.returncode, done.stdout) == (0, "foo\n"), done.stderr
    expected, _ = plotting.save(plotting.figure_6([a_run(8)]), tmp_path / "expected")
    assert (tmp_path / "drawn.png").read_bytes() == expected.read_bytes()


def test_figures_need_no_keras():
    done = run_python(
        "-c", "import sys, resnet_keras.plotting, resnet_keras.reports.tables; print('keras' in sys.modules)"
    )
    assert done.stdout.strip() == "False", done.stderr


def test_figure_4_has_plain_nets_left_and_residual_nets_right_with_centre_crop_validation():
    def a_photograph_run(depth, shortcut):
        run = a_run(20)
        settings = run.settings | {"architecture": imagenet(depth, shortcut).to_dict()}
        settings["data"] = {"name": "imagenette", "image_size": 64, "generated": False}
        return Run(run.path, settings, run.rows, run.results)

    runs = [a_photograph_run(depth, shortcut) for depth in (18, 34) for shortcut in (None, "A")]
    figure = plotting.figure_4(runs, axis="paper")
    assert [ax.get_title() for ax in figure.axes] == ["plain nets", "residual nets"]
    assert [{text.get_text() for text in ax.texts} for ax in figure.axes] == [{"18-layer", "34-layer"}] * 2
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["training", "validation, centre crop"]
    assert figure.axes[0].get_ylim() == (20, 60)
    thin, bold = sorted(figure.axes[1].lines[:2], key=lambda line: line.get_linewidth())
    np.testing.assert_allclose(thin.get_ydata(), [50, 40, 30])
    np.testing.assert_allclose(bold.get_ydata(), [55, 45, 35])


def test_a_figure_named_with_its_suffix_is_that_file(tmp_path):
    written = plotting.save(plotting.figure_6([a_run(8)]), str(tmp_path / "my.png"))
    assert (
        sorted(path.name for path in written)
        == ["my.png", "my.svg"]
        == sorted(path.name for path in tmp_path.iterdir())
    )

"""The scan of the loss: its points by hand, its directions as Li et al. define them, and how it resumes."""

import numpy as np
import pytest
from small_nets import data, net

from resnet_keras import Damaged, InputOutput, InvalidValue
from resnet_keras.analysis.images import Batches
from resnet_keras.analysis.nets import rewired
from resnet_keras.analysis.surface import Scan, direction, loss_at, steps
from resnet_keras.plotting.surface import surface_figure
from resnet_keras.spec.measurements import Point, Subject, Surface

LINE = (steps(3, 1.0), (0.0,))


def batches():
    return Batches(data(), (np.arange(7), np.arange(7, 12)), 16)


def by_hand(model, x, y):
    p = model.predict(x, verbose=0).astype(np.float64)
    return -np.log(p[np.arange(len(y)), y]).mean(), 100 * (p.argmax(axis=1) != y).mean()


def test_the_middle_is_the_net_itself_and_other_points_its_moved_kernels():
    one = net(8)
    at = loss_at(one.model, batches(), seed=4)
    x, y = data()
    assert at(0.0, 0.0)[2:] == pytest.approx(by_hand(one.model, x, y), rel=1e-4)
    moved = rewired(one.model)
    for layer in moved.layers:
        if layer.name.endswith("_conv") or layer.name == "predictions":
            kernel, *bias = layer.get_weights()
            ways = [direction(kernel, layer.name, 4, number) for number in (0, 1)]
            layer.set_weights([kernel + 0.1 * ways[0] - 0.05 * ways[1], *bias])
    assert at(0.1, -0.05)[2:] == pytest.approx(by_hand(moved, x, y), rel=1e-3)
    assert at(0.0, 0.0)[2:] == pytest.approx(by_hand(one.model, x, y), rel=1e-4)  # back again, and the net is unchanged


@pytest.mark.any_backend
def test_each_filter_of_a_direction_is_as_long_as_that_of_the_net():
    kernel = np.random.default_rng(0).standard_normal((3, 3, 8, 6)).astype(np.float32)
    kernel[..., 2] = 0.0
    one, other = (direction(kernel, "a", 0, number) for number in (0, 1))
    for way in (one, other):
        np.testing.assert_allclose(np.linalg.norm(way.reshape(-1, 6), axis=0),
                                   np.linalg.norm(kernel.reshape(-1, 6), axis=0), rtol=1e-5)  # fmt: skip
    assert abs((one * other).sum()) < 0.3 * (kernel**2).sum()
    np.testing.assert_array_equal(one, direction(kernel, "a", 0, 0))
    assert not np.array_equal(one, direction(kernel, "b", 0, 0))
    assert not np.array_equal(one, direction(kernel, "a", 1, 0))


@pytest.mark.any_backend
def test_a_scan_that_is_cut_short_goes_on_where_it_was(tmp_path):
    one, two = net(8), net(8, None)
    whole = Scan(tmp_path / "whole.csv", [one, two], [batches()] * 2, LINE)
    assert len(list(whole.compute())) == 6
    path = tmp_path / "cut.csv"
    cut = Scan(path, [one, two], [batches()] * 2, LINE).compute()
    first = [next(cut) for _ in range(2)]
    cut.close()
    again = Scan(path, [one, two], [batches()] * 2, LINE)
    assert again.surfaces()[0].points[0] == pytest.approx(first[0], rel=1e-6)
    assert len(list(again.compute())) == 4
    assert path.read_text() == (tmp_path / "whole.csv").read_text()
    assert path.read_text().startswith("net,alpha,beta,loss,error,seed,images,file\nResNet-8,-1,0,")
    assert list(Scan(path, [one, two], [batches()] * 2, LINE).compute()) == []


@pytest.mark.any_backend
def test_another_scan_and_a_damaged_one_are_refused(tmp_path):
    path = tmp_path / "scan.csv"
    list(Scan(path, [one := net(8)], [batches()], LINE).compute())
    with pytest.raises(InputOutput, match="another --out"):
        Scan(path, [one], [batches()], LINE, seed=1)
    with pytest.raises(InputOutput, match="another --out"):
        Scan(path, [one], [batches()], (steps(3, 0.5), (0.0,)))
    whole = path.read_text()
    path.write_text(whole[:-30])
    with pytest.raises(Damaged, match="8 values"):
        Scan(path, [one], [batches()], LINE)
    path.write_text("a,b\n")
    with pytest.raises(InputOutput, match="begins with"):
        Scan(path, [one], [batches()], LINE)


@pytest.mark.any_backend
def test_steps_have_the_net_in_the_middle():
    assert steps(5, 1.0) == (-1.0, -0.5, 0.0, 0.5, 1.0)
    for points, reach in ((4, 1.0), (1, 1.0), (5, 0.0), (5, float("nan"))):
        with pytest.raises(InvalidValue):
            steps(points, reach)


@pytest.mark.any_backend
def test_a_plane_has_a_panel_each_and_a_line_a_curve_each():
    nets = [Subject("plain-8", 8, False), Subject("ResNet-8", 8, True)]
    line = [Surface(one, [Point(a, 0.0, 1 + a * a, 0.0) for a in LINE[0]]) for one in nets]
    (ax,) = surface_figure(line, data="x").axes
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [2, 1, 2])
    plane = [
        Surface(one, [Point(a, b, float("nan") if a == b == 1 else 1 + a * a, 0.0) for b in LINE[0] for a in LINE[0]])
        for one in nets
    ]
    figure = surface_figure(plane, data="x")
    assert [ax.get_title() for ax in figure.axes[:2]] == ["plain-8", "ResNet-8"]
    figure.draw_without_rendering()
    nowhere = Surface(nets[0], [Point(0.0, 0.0, float("nan"), 90.0)])
    with pytest.raises(InvalidValue, match="without a finite loss"):
        surface_figure([nowhere], data="x")

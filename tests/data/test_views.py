"""Views of a test image against slices cut by hand, and against the whole image resized by Pillow."""

from pathlib import Path

import numpy as np
import pytest

from resnet_keras import InvalidValue
from resnet_keras.data.photographs.resizing import resized_sides
from resnet_keras.data.photographs.views import MultiScale, SingleView, TenCrop, scales_for

Image = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.any_backend


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def smooth(height, width):
    """Few sharp edges, so that rounding while resizing differs by one grey level at most."""
    return np.asarray(Image.fromarray(noise(6, 5)).resize((width, height), Image.Resampling.BICUBIC))


def test_ten_crops_are_four_corners_and_the_centre_and_their_mirror_images():
    x = noise(256, 320)  # the shorter side is already 256
    expected = [
        x[:224, :224],
        x[:224, 96:],
        x[32:, :224],
        x[32:, 96:],
        x[16:240, 48:272],
    ]
    expected += [view[:, ::-1] for view in expected]
    got = TenCrop(224).of(Image.fromarray(x))
    assert len(got) == 10
    for mine, by_hand in zip(got, expected, strict=True):
        np.testing.assert_array_equal(mine, by_hand)


@pytest.mark.parametrize(("height", "width", "size", "sides"), [
    (375, 500, 224, (256, 341)),   # 500 * 256 / 375 = 341.3
    (500, 333, 224, (384, 256)),   # 500 * 256 / 333 = 384.4
    (90, 61, 64, (108, 73)),       # 256 * 64 / 224 = 73.1; 90 * 73 / 61 = 107.7
])  # fmt: skip
def test_a_single_view_is_the_centre_of_the_resized_image(height, width, size, sides):
    x = smooth(height, width)
    (view,) = SingleView(size).of(Image.fromarray(x))
    whole = np.asarray(Image.fromarray(x).resize(sides[::-1], Image.Resampling.BILINEAR)).astype(int)
    top, left = (sides[0] - size) // 2, (sides[1] - size) // 2
    assert np.abs(view - whole[top : top + size, left : left + size]).max() <= 1


def test_multi_scale_shows_the_whole_image_and_its_mirror_at_each_scale():
    views = MultiScale().of(Image.fromarray(smooth(375, 500)))
    # 500/375 of 224, 256, 384, 480, 640 is 298.7, 341.3, 512, 640, 853.3; to the nearest multiple of 32:
    expected = [(224, 288), (256, 352), (384, 512), (480, 640), (640, 864)]
    assert [view.shape[:2] for view in views] == [shape for shape in expected for _ in range(2)]
    for plain, mirrored in zip(views[::2], views[1::2], strict=True):
        np.testing.assert_array_equal(mirrored, plain[:, ::-1])


def test_a_square_image_stays_square_and_an_image_at_its_size_is_unchanged():
    x = noise(73, 73)
    plain, mirrored = MultiScale((73,)).of(Image.fromarray(x))
    np.testing.assert_array_equal(plain, x)
    np.testing.assert_array_equal(mirrored, x[:, ::-1])


def test_scales_are_in_proportion_to_the_net():
    assert scales_for(224) == (224, 256, 384, 480, 640)
    assert scales_for(64) == (64, 73, 110, 137, 183)  # times 64/224: 64, 73.1, 109.7, 137.1, 182.9
    assert resized_sides((1, 3), 2) == (2, 6)


@pytest.mark.parametrize("scales", [(), (0,), (224, 224), (100_000,)])
def test_scales_that_cannot_be_are_refused(scales):
    with pytest.raises(InvalidValue, match="Scales"):
        MultiScale(scales)


def test_no_image_is_stretched_by_more_than_8_percent_whatever_the_net():
    for image_size in (32, 64, 112, 224):
        for width, height in ((100, 130), (333, 500), (500, 375), (64, 64)):
            views = MultiScale(scales_for(image_size)).of(Image.fromarray(noise(height, width)))
            for view in views:
                stretch = (view.shape[0] / view.shape[1]) / (height / width)
                assert 1 / 1.08 < stretch < 1.08, (image_size, view.shape, width, height)


def waves(height, width):
    down, across, channel = np.ogrid[:height, :width, :3]
    return np.rint(127.5 + 127.5 * np.sin(down / 17 + channel) * np.cos(across / 23 - channel)).astype(np.uint8)


def means(view):
    return np.asarray(view, np.float64).reshape(14, 16, 14, 16, 3).mean((1, 3))


@pytest.mark.parametrize("size", [(375, 500), (500, 333)])
def test_single_view_and_ten_crops_are_torchvisions(size):
    """Golden values: tests/files/README.md. One column or row off would differ by 2 to 7 grey levels."""
    with np.load(Path(__file__).parents[1] / "files/torchvision-views.npz") as golden:
        centre, ten = (golden[f"{name}_{size[0]}x{size[1]}"] for name in ("center", "ten"))
    image = Image.fromarray(waves(*size))
    assert np.abs(means(SingleView(224).of(image)[0]) - centre).max() < 0.1
    got = [means(view) for view in TenCrop(224).of(image)]
    # torchvision mirrors the image before it cuts: left and right change places, and in an image 341 pixels wide the
    # mirrored centre starts one pixel further on.
    there = [*range(5), 6, 5, 8, 7, *([] if size == (375, 500) else [9])]
    for mine, number in zip(got, there, strict=False):
        assert np.abs(mine - ten[number]).max() < 0.1, number


@pytest.mark.parametrize("size", [(375, 500), (500, 333), (120, 170)])
def test_ten_crops_are_caffes_in_its_order(size):
    """Golden values: tests/files/README.md. One column or row off would differ by 2.5 to 14 grey levels."""
    with np.load(Path(__file__).parents[1] / "files/caffe-views.npz") as golden:
        ten = golden[f"ten_{size[0]}x{size[1]}"]
    image = Image.fromarray(waves(*size))
    got = [means(view) for view in TenCrop(224).of(image)]
    for number, (mine, theirs) in enumerate(zip(got, ten, strict=True)):
        assert np.abs(mine - theirs).max() < 0.5, number
    assert np.abs(means(SingleView(224).of(image)[0]) - ten[4]).max() < 0.5

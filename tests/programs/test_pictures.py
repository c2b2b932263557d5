"""Pictures for the documentation: what a net predicts for images, and a program's screen."""

import sys

import numpy as np
import pytest
from conftest import BACKEND, ROOT, run_python
from PIL import Image

from resnet_keras import load

SCREEN = "recipes/screen.py"
COUNTING = """
import sys, time
print("\\33[31mred\\33[0m")
for number in range(100):
    print(f"\\rat {number}", end="", flush=True)
    time.sleep(0.1)
"""


@pytest.mark.any_backend
def test_predict_counts_what_the_net_has_right(small_npz, tmp_path):
    run = ROOT / "tests" / "files" / "8d48f2f" / BACKEND / "finished"
    out = tmp_path / "prediction"
    done = run_python("recipes/predict.py", str(run), "--data-dir", str(small_npz), "--images", "30", "--out", str(out))
    assert done.returncode == 0, done.stderr
    with np.load(small_npz) as held:
        right = (load(run / "model.keras").predict(held["x_test"], verbose=0).argmax(axis=1) == held["y_test"]).sum()
    assert f"{right} of 30 correct" in done.stdout
    assert out.with_suffix(".png").stat().st_size > 10_000
    refused = run_python("recipes/predict.py", str(run), "--images", "0")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)


@pytest.mark.any_backend
def test_predict_says_what_it_takes_a_picture_for(small_npz, tmp_path):
    run = ROOT / "tests" / "files" / "8d48f2f" / BACKEND / "finished"
    with np.load(small_npz) as held:
        image = held["x_test"][0]
    Image.fromarray(image).save(tmp_path / "one.png")
    (tmp_path / "two.png").write_bytes(b"text")
    own = load(run / "model.keras").predict(image[None], verbose=0)[0]
    out = str(tmp_path / "out")
    done = run_python("recipes/predict.py", str(run), "--pictures", str(tmp_path / "one.png"), "--out", out)
    assert done.returncode == 0, done.stderr
    assert f"one.png: {own.argmax()}, {100 * own.max():.1f} %" in done.stdout
    for file, code in (("two.png", 4), ("three.png", 4)):
        refused = run_python("recipes/predict.py", str(run), "--pictures", str(tmp_path / file), "--out", out)
        assert (refused.returncode, refused.stderr.count("\n")) == (code, 1)
        assert file in refused.stderr


@pytest.mark.any_backend
@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX terminal")
def test_a_screen_is_drawn_as_it_is_and_fetches_nothing(tmp_path):
    pytest.importorskip("pyte")
    program, out = tmp_path / "counting.py", tmp_path / "screen.svg"
    program.write_text(COUNTING)
    done = run_python(SCREEN, "--until", "at 3", "--out", str(out), f"{program} --no option")
    assert (done.returncode, done.stdout) == (0, f"{out}\n"), done.stderr
    svg = out.read_text()
    assert "at&#160;3" in svg
    assert "at&#160;2" not in svg  # overwritten
    assert "url(" not in svg.replace("url(#", "")
    missing = run_python(SCREEN, "--until", "never", "--timeout", "2", "--out", str(out), str(program))
    assert missing.returncode == 4
    assert "'never'" in missing.stderr
    assert missing.stderr.count("\n") == 1

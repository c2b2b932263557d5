"""Bad command lines of recipes: each gives one line and the exit code of usage or of input, and imports no backend."""

import json
import os

import pytest
from conftest import ROOT, run_python

pytestmark = pytest.mark.any_backend

CODE = """
import contextlib, io, itertools, json, runpy, sys, time, tempfile
from pathlib import Path

WORDS = ["", " ", "x", "-", "--", "1e3", "0x10", "1.5", "nan", "inf", "-inf", "-1", "0", "None", "True", "1 2", "[]"]
HUGE = ["9" * 30, "9" * 5000, "1" + "0" * 400]
# What is no such value, for each kind of option.
BAD = {
    "count": [*WORDS, *HUGE],
    "rate": ["", " ", "x", "-1", "0", "nan", "inf", "-inf", "1e999", "1,5", "0x1", "--"],
    "seeds": ["", "x", "-1", "1.5", "3-1", "1,1", "0-4,2", "1,", "-", "0-99999", "0x1", *HUGE],
    "seed": ["", "x", "-1", "1.5", "nan", *HUGE],
    "depth": [*WORDS, *HUGE, "7", "9", "21", "1208", "2", "-20"],
    "path": ["", " ", "\\0", "a\\0b"],
    "choice": ["", "x", "a", "AUTO", "A B", "nan", "0"],
    "folder": ["", "\\0", "/nonexistent/x", "/dev/null", "/etc/passwd", "x" * 300, "x" * 5000 + ".npz"],
}
KINDS = {
    "--iterations": "count", "--batch-size": "count", "--learning-rate": "rate", "--seed": "seed", "--depth": "depth",
    "--depths": "depth", "--image-size": "count", "--shortcut": "choice", "--resume": "choice", "--out": "path",
    "--data-dir": "folder", "--figure": "choice", "--axis": "choice", "--table": "choice", "--protocol": "choice",
    "--scales": "count", "--weights": "rate", "--preprocessing": "choice", "--limit": "count", "--json": "path",
    "--cache": "path", "--images": "count", "--accumulate": "count", "--precision": "choice", "--recipe": "choice",
    "--skip-bad": "count", "--seeds": "seeds", "--workers": "count",
    "--processes": "count", "--devices": "count", "--link": "rate",
}
RECIPES = {
    "cifar10.py": (["--depth", "8"], ["--iterations", "--batch-size", "--learning-rate", "--seed", "--depth",
                                      "--shortcut", "--resume", "--out", "--data-dir", "--accumulate", "--precision",
                                      "--seeds", "--processes", "--devices", "--link"]),
    "imagenet.py": (["--depth", "18"], ["--iterations", "--batch-size", "--learning-rate", "--seed", "--depth",
                                        "--shortcut", "--resume", "--out", "--data-dir", "--accumulate", "--precision",
                                        "--recipe", "--image-size", "--skip-bad", "--workers", "--seeds"]),
    "degradation.py": ([], ["--iterations", "--batch-size", "--learning-rate", "--seed", "--depths", "--image-size",
                            "--resume", "--out", "--data-dir"]),
    "figures.py": (["/nonexistent"], ["--figure", "--axis", "--out"]),
    "tables.py": (["/nonexistent.json"], ["--table", "--out"]),
    "evaluate.py": (["/nonexistent", "--data-dir", "/nonexistent"], ["--data-dir", "--protocol", "--scales",
                    "--weights", "--preprocessing", "--limit", "--json", "--cache"]),
    "precise.py": (["/nonexistent", "--data-dir", "/nonexistent", "--out", "x.keras"], ["--data-dir", "--images",
                   "--batch-size", "--seed", "--limit", "--out"]),
}

def lines():
    for recipe, (good, options) in RECIPES.items():
        for option in options:
            for value in BAD[KINDS[option]]:
                yield recipe, [*good, option, value]
                yield recipe, [*good, f"{option}={value}"]
            yield recipe, [*good, option]
            yield recipe, [*good, option[:-1]]
            yield recipe, [*good, option[:3] + "x" + option[3:], "1"]
            yield recipe, [*good, option.upper(), "1"]
        for word in ("-x", "--", "word", "--help-me", "\\u2014depth", "--depth\\n8", "-" * 40):
            if (recipe, word) == ("tables.py", "--"):
                continue  # no folder at all: the paper's numbers alone
            yield recipe, [*good, word] if recipe in ("cifar10.py", "degradation.py", "imagenet.py") else [word]
    yield "cifar10.py", []
    yield "imagenet.py", []
    yield "imagenet.py", ["--depth", "20"]
    yield "imagenet.py", ["--depth", "18", "--image-size", "31"]
    yield "imagenet.py", ["--depth", "18", "--batch-size", "10", "--accumulate", "3"]
    yield "figures.py", []
    yield "degradation.py", ["--paper", "--depths", "20"]
    yield "degradation.py", ["--paper", "--image-size", "16"]
    yield "cifar10.py", ["--depth", "8", "--plain", "--plain=1"]

reports = []
with tempfile.TemporaryDirectory() as folder:
    for recipe, words in lines():
        sys.argv = [recipe, *words]
        # An --out and a --data-dir before the words under test, so that a line that is good by mistake is seen.
        if recipe in ("cifar10.py", "degradation.py", "imagenet.py"):
            sys.argv[1:1] = ["--out", folder + "/run", "--data-dir", folder + "/absent"]
        out, err = io.StringIO(), io.StringIO()
        begun, code, stdout, stderr = time.monotonic(), None, sys.stdout, sys.stderr
        sys.stdout, sys.stderr = out, err
        try:
            runpy.run_path(f"recipes/{recipe}", run_name="__main__")
        except SystemExit as stop:
            code = stop.code
        except BaseException as error:
            code = repr(error)[:300]
        finally:
            sys.stdout, sys.stderr = stdout, stderr
        reports.append([recipe, [word[:60] for word in words], code, err.getvalue(), time.monotonic() - begun])
print(json.dumps([reports, [name for name in ("keras", "tensorflow", "jax", "torch") if name in sys.modules]]))
"""


def test_bad_command_lines_are_one_line_and_import_no_backend(figure):
    done = run_python("-c", CODE, PYTHONPATH=os.pathsep.join([str(ROOT)]))
    assert done.returncode == 0, done.stderr
    reports, imported = json.loads(done.stdout.splitlines()[-1])
    assert not imported
    wrong = [
        (recipe, words, code, text[-300:])
        for recipe, words, code, text, _ in reports
        if code not in (2, 4) or len(text.strip().splitlines()) != 1 or "Traceback" in text or len(text) > 1_100
    ]
    assert not wrong, "\n".join(map(str, wrong[:40]))
    assert len(reports) >= 500
    figure("bad command lines: one line, exit 2 or 4", len(reports), len(reports))

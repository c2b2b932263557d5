"""What programs print: a user's text as it is, lines that fit a terminal, whole lines in a file."""

import io

import pytest
from rich.console import Console

from resnet_keras.errors import first_line, readable
from resnet_keras.reports.console import plain_console, say

pytestmark = pytest.mark.any_backend

LINE = "ResNet-8  iteration 1,234 of 64,000  training error 66.66 %  validation error 70.00 %  1,234 images/s  1:02"
PATH = "/a/folder/of-somebody/" + "x" * 90 + "/[bold]model[/10] :smile:.keras"


def printed(*lines, terminal, width=80):
    file = io.StringIO()
    say(Console(file=file, force_terminal=terminal, width=width, color_system=None), *lines)
    return file.getvalue()


def test_a_terminal_breaks_lines_between_words_and_no_word():
    text = printed(LINE, PATH, terminal=True)
    assert text.split() == LINE.split() + PATH.split()
    long_word = max(PATH.split(), key=len)
    assert all(len(line.rstrip()) <= 80 or line.strip() == long_word for line in text.splitlines())


def test_a_file_has_each_line_as_one():
    assert printed(LINE, PATH, terminal=False).splitlines() == [LINE, PATH]


def test_names_of_any_bytes_are_shown_as_ls_shows_them():
    """b"caf\\xe9" is Latin-1, as in names from an old archive; Python holds the byte as a surrogate."""
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert readable(name) == r"caf\xe9"
    assert readable("café, 日本") == "café, 日本"
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="utf-8")
    say(plain_console(file), name)
    file.flush()
    assert raw.getvalue() == b"caf\\xe9\n"


def test_the_first_line_of_an_error_without_text_is_its_type():
    assert first_line(KeyError()) == "KeyError"
    assert first_line(ValueError("\n  \n")) == "ValueError"
    assert first_line(OSError("\n no \n more")) == "no"

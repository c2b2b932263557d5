"""Counts that the tests of faults print at the end."""

import pytest

_FIGURES = pytest.StashKey[dict[str, tuple[int, int]]]()


@pytest.fixture(scope="session")
def figure(pytestconfig):
    """`figure(what, got, of)` adds to a count: "hostile files refused: 130 of 130"."""
    figures = pytestconfig.stash.setdefault(_FIGURES, {})

    def add(what: str, got: int, of: int) -> None:
        before = figures.get(what, (0, 0))
        figures[what] = (before[0] + got, before[1] + of)

    return add


def pytest_terminal_summary(terminalreporter, config):
    figures = config.stash.get(_FIGURES, {})
    if figures:
        terminalreporter.section("figures")
    for what, (got, of) in figures.items():
        terminalreporter.line(f"{what}: {got:,} of {of:,}")

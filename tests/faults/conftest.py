"""Counts that the fault tests print at the end."""

from collections import Counter

import pytest

FIGURE = "figure"


@pytest.fixture
def figure(record_property):
    """`figure(what, got, of)` adds to a count: "hostile files refused: 130 of 130"."""
    return lambda what, got, of: record_property(FIGURE, (what, got, of))


def pytest_terminal_summary(terminalreporter):
    got, of = Counter(), Counter()
    for reports in terminalreporter.stats.values():
        calls = [report for report in reports if getattr(report, "when", None) == "call"]
        for name, value in (pair for report in calls for pair in report.user_properties):
            if name == FIGURE:
                got[value[0]] += value[1]
                of[value[0]] += value[2]
    if of:
        terminalreporter.section("figures")
    for what in of:
        terminalreporter.line(f"{what}: {got[what]:,} of {of[what]:,}")

"""Threads that work ahead: order, errors, and how they end."""

import threading
import time

import pytest

from resnet_keras.data.threads import ahead

pytestmark = pytest.mark.any_backend


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.002)
    return condition()


def counted(made, last=100):
    for number in range(last):
        made.append(number)
        yield number


def test_items_come_in_order_and_so_many_are_made_before():
    made = []
    items = ahead(counted(made), 3)
    assert made == []  # nothing before the first is requested
    assert next(items) == 0
    assert until(lambda: made == [0, 1, 2, 3])
    time.sleep(0.05)
    assert made == [0, 1, 2, 3]
    assert list(items) == list(range(1, 100))
    assert list(ahead(iter([]), 2)) == []


def test_an_error_comes_where_the_item_would_have_been():
    def broken():
        yield 1
        yield 2
        raise OSError("third")

    items = ahead(broken(), 3)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(OSError, match="third"):
        next(items)


def test_closing_ends_the_thread():
    made = []
    items = ahead(counted(made), 2)
    next(items)
    assert any(thread.name.startswith("ahead") for thread in threading.enumerate())
    items.close()
    assert until(lambda: not any(thread.name.startswith("ahead") for thread in threading.enumerate()))
    assert len(made) <= 4

"""Threads that work ahead of their caller: Pillow decodes outside Python's lock, and threads share their results."""

import os
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Generic, TypeVar

MAX_WORKERS = 1_024
"""Upper limit on threads: more than any machine has cores."""
Item = TypeVar("Item")
Result = TypeVar("Result")


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Prefetch(Generic[Item, Result]):
    """Makes groups of results in threads, the next groups before they are requested.

    Not `Executor.map`, which starts everything at once, nor a queue: groups may be requested in any order.

    Args:
        items: returns the items of group number i; none after the last.
        work: computes an item's result.
        ahead: number of groups started beyond the requested one.
        workers: number of threads.
    """

    def __init__(
        self, items: Callable[[int], Sequence[Item]], work: Callable[[Item], Result], *, ahead: int, workers: int
    ) -> None:
        self._items, self._work, self._ahead = items, work, ahead
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="prefetch")
        self._begun: dict[int, list[Future[Result]]] = {}
        self._latest = 0
        self._lock = Lock()
        self.close = weakref.finalize(self, self._executor.shutdown, wait=False, cancel_futures=True)
        """Stops the threads; nothing else is lost."""

    def take(self, number: int) -> list[Result]:
        """The results of group `number`, in order.

        Raises:
            Exception: whatever `work` raised.
        """
        with self._lock:
            # Two threads may ask, the one for the later group first: no group in between is dropped or made twice.
            near = abs(number - self._latest) <= self._ahead
            self._latest = max(number, self._latest) if near else number
            for other in [other for other in self._begun if abs(other - number) > self._ahead]:
                for future in self._begun.pop(other):
                    future.cancel()
            for wanted in (number, *range(self._latest + 1, number + 1 + self._ahead)):
                if wanted not in self._begun:
                    self._begun[wanted] = [self._executor.submit(self._work, item) for item in self._items(wanted)]
            futures = self._begun.pop(number)
        return [future.result() for future in futures]


def in_order(work: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Iterator[Result]:
    """Like `map`, in threads, with a few items started ahead."""
    prefetch = Prefetch(lambda number: items[number : number + 1], work, ahead=4 * workers, workers=workers)
    try:
        for number in range(len(items)):
            yield from prefetch.take(number)
    finally:
        prefetch.close()


def ahead(items: Iterator[Item], count: int) -> Generator[Item, None, None]:
    """The same items in the same order, up to `count` of them made ahead by a thread; the caller closes it.

    Raises:
        Exception: whatever `items` raises, in place of the item.
    """
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as executor:
        waiting = deque(executor.submit(next, items, end) for _ in range(count))
        try:
            while (item := waiting.popleft().result()) is not end:
                waiting.append(executor.submit(next, items, end))
                yield item  # type: ignore[misc]  # not the end
        finally:
            for future in waiting:
                future.cancel()

"""JSON in a model file that may come from anyone. Needs no framework."""

import json
from typing import Any

MAX_NESTING = 40
"""Limit on nested levels of lists and objects in JSON; a nested net has 18."""


class Refused(ValueError):
    """A file is refused; the text says what is wrong with it, without naming the file."""


def parse_json(text: bytes | memoryview, *, finite: bool = True) -> Any:
    """Parses JSON that has no repeated names, no deep nesting and, if `finite`, no NaN or infinity.

    Raises:
        Refused: the text is not such JSON.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        named = dict(pairs)
        if len(named) != len(pairs):
            raise Refused("a repeated name in a JSON object")
        return named

    def no_number(name: str) -> float:
        if finite:
            raise Refused(f"{name} in JSON")
        return float(name)

    try:
        value = json.loads(bytes(text).decode("utf-8"), object_pairs_hook=once, parse_constant=no_number)
    except Refused:
        raise
    except RecursionError:
        raise Refused("JSON nested too deeply") from None
    except ValueError as error:
        raise Refused(f"invalid JSON: {error}") from None
    level = [value]
    for _ in range(MAX_NESTING):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return value
    raise Refused("JSON nested too deeply")

"""Frozen values read from descriptions that may come from anyone: exact names, exact types, numbers within bounds.

Bounds are declared with the fields: `filters: Annotated[int, AtMost(4096)]`. Pydantic does this and much more; for six
frozen classes, one function costs less than the dependency.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from resnet_keras.errors import InvalidValue, shown
from resnet_keras.spec.checks import check_choice, check_type, is_count

T = TypeVar("T")


@dataclass(frozen=True)
class AtMost:
    """The largest whole number, or the longest tuple, that is accepted; the smallest is 1."""

    value: int


def write_fields(value: Any) -> dict[str, Any]:
    """The fields of a dataclass by name, including those of nested dataclasses, as `read_fields` takes them.

    A field with its default value is left out: it was added later, and values without it are described as before.
    """
    return {
        field.name: _written(getattr(value, field.name))
        for field in fields(value)
        if getattr(value, field.name) != field.default
    }


def _written(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_written, value))
    return write_fields(value) if is_dataclass(value) else value


def read_fields(cls: type[T], description: object, *, beside: tuple[str, ...] = ()) -> T:
    """Builds the dataclass `cls` from these fields.

    Args:
        cls: a dataclass whose fields are `bool`, `Annotated[int, AtMost(n)]`, a `Literal` of strings (or None), another
            such dataclass, or `Annotated[tuple[one of these, ...], AtMost(n)]`.
        description: its fields by name, as JSON gives them; those with a default may be missing.
        beside: names that the description has in addition to the fields.

    Raises:
        ValueError: a name is missing or unknown, or a value is of the wrong type or out of range.
    """
    every = fields(cls)  # type: ignore[arg-type]  # T is a dataclass
    names = {field.name for field in every}
    needed = {field.name for field in every if field.default is MISSING} | set(beside)
    if not isinstance(description, Mapping) or not needed <= description.keys() <= names | set(beside):
        got = ", ".join(map(str, description)) if isinstance(description, Mapping) else description
        listed = ", ".join(sorted(names | set(beside)))
        raise InvalidValue(f"{cls.__name__} has the fields {listed}. Received: {shown(got)}.")
    types = get_type_hints(cls, include_extras=True)
    return cls(**{name: _value(types[name], description[name], name) for name in names & description.keys()})


def check_fields(value: Any) -> None:
    """Checks a dataclass's own fields as `read_fields` does, so that what can be made can be read again.

    Raises:
        ValueError: a field is of the wrong type or out of range.
    """
    types = get_type_hints(type(value), include_extras=True)
    for field in fields(value):
        given = getattr(value, field.name)
        if isinstance(given, list):
            raise InvalidValue(f"{field.name} is a tuple. Received: {shown(given)}.")
        _value(types[field.name], given, field.name)


def _value(hint: Any, value: object, field: str) -> Any:
    if get_origin(hint) is Annotated:
        inner, bound = get_args(hint)
        return _numbered(value, bound, field) if inner is int else _items(get_args(inner)[0], value, bound, field)
    if get_origin(hint) is Literal:
        check_type(value, str, field)
        check_choice(f"The value of {field}", value, get_args(hint), field)
        return value
    if get_origin(hint) in (Union, UnionType):  # a Literal or None
        (inner,) = (one for one in get_args(hint) if one is not NoneType)
        return None if value is None else _value(inner, value, field)
    if is_dataclass(hint):
        if isinstance(value, hint):  # type: ignore[arg-type]
            check_fields(value)
            return value
        return read_fields(hint, value)  # type: ignore[arg-type]
    check_type(value, hint, field)
    return value


def _numbered(value: object, bound: AtMost, field: str) -> object:
    if not is_count(value) or not 1 <= value <= bound.value:  # type: ignore[operator]
        raise InvalidValue(f"{field} is a whole number from 1 to {bound.value:,}. Received: {shown(value)}.")
    return value


def _items(hint: Any, value: object, bound: AtMost, field: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= bound.value:
        raise InvalidValue(f"{field} has 1 to {bound.value} entries. Received: {shown(value)}.")
    return tuple(_value(hint, item, field) for item in value)

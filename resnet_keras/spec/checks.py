"""Checks shared by the frozen values; each raises a one-line error."""

from resnet_keras.errors import InvalidValue, shown

MAX_CLASSES, MAX_IMAGE_SIZE = 100_000, 4096
"""The largest that `load` opens, so nothing larger is made."""


def is_count(value: object) -> bool:
    """Whether the value is a whole number; True and False are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def check_choice(what: str, value: object, choices: tuple[object, ...], field: str) -> None:
    """Raises InvalidValue unless `value` is one of the choices: "A unit is one of 'basic', 'bottleneck'. ..."."""
    if value not in choices or isinstance(value, bool):
        listed = ", ".join(map(repr, choices))
        raise InvalidValue(f"{what} is one of {listed}. Received: {field}={shown(value)}.")


def check_count(rule: str, value: object, field: str, minimum: int, maximum: int | None = None) -> None:
    """Raises InvalidValue unless `value` is a whole number from `minimum` to `maximum`; `rule` says why."""
    if not is_count(value) or value < minimum:  # type: ignore[operator]
        raise InvalidValue(f"{rule} Received: {field}={shown(value)}. Minimum: {minimum}.")
    if maximum is not None and value > maximum:  # type: ignore[operator]
        raise InvalidValue(f"{rule} Received: {field}={shown(value)}. Maximum: {maximum:,}.")


def check_type(value: object, kind: type, field: str) -> None:
    """Raises InvalidValue unless `value` is of exactly this type: True does not pass as 1."""
    if type(value) is not kind:
        raise InvalidValue(f"{field} is of type {kind.__name__}. Received: {shown(value)}.")

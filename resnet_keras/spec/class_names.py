"""Class names: what the labels 0, 1, ... mean, and whether they mean the same to a net and in its data."""

from collections.abc import Sequence

from resnet_keras.errors import InvalidValue

ClassNames = tuple[str, ...]
LISTED = 5
"""Largest number of classes whose names an error lists in full; with more, it gives the first that differ."""


def meaningful(names: Sequence[str] | None) -> ClassNames | None:
    """The names, or None if they only number the classes: "0", "1", "2", ..."""
    if names is None or all(name == str(label) for label, name in enumerate(names)):
        return None
    return tuple(str(name) for name in names)


def check_same_classes(net: str, of_net: Sequence[str] | None, data: str, of_data: Sequence[str] | None) -> None:
    """Checks that labels mean the same to a net and in its data, as far as both have names for them.

    Args:
        net: name of the net, for the error message.
        of_net: its class names; None if unknown.
        data: name of the data, for the error message.
        of_data: its class names; None if unknown.

    Raises:
        ValueError: the classes differ.
    """
    if of_net is None or of_data is None or tuple(of_net) == tuple(of_data):
        return
    if len(of_net) != len(of_data):
        raise InvalidValue(
            f"Net and data have the same classes. Received: {net} with {len(of_net):,} ({_listed(of_net)}), "
            f"{data} with {len(of_data):,} ({_listed(of_data)})."
        )
    rule = "the same classes"
    if set(of_net) == set(of_data):
        rule += " in the same order"
    if len(of_net) <= LISTED:
        received = f"{net} with {_listed(of_net)}; {data} with {_listed(of_data)}"
    else:
        pairs = [(label, mine, other) for label, (mine, other) in enumerate(zip(of_net, of_data, strict=True))]
        differing = [pair for pair in pairs if pair[1] != pair[2]]
        label, mine, other = differing[0]
        more = f"; other labels that differ: {len(differing) - 1:,}" if len(differing) > 1 else ""
        received = f"label {label} is {mine} for {net} and {other} in {data}{more}"
    raise InvalidValue(f"Net and data have {rule}. Received: {received}.")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")

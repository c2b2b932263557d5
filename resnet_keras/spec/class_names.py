"""Names of classes: what the labels 0, 1, ... mean, and whether those of a net and of data mean the same."""

from collections.abc import Sequence

from resnet_keras.errors import InvalidValue

ClassNames = tuple[str, ...]
LISTED = 5
"""Classes of which all names are told; of more, the first that differ."""


def meaningful(names: Sequence[str] | None) -> ClassNames | None:
    """The names, or None where they only count the classes: "0", "1", "2", ..."""
    if names is None or all(name == str(label) for label, name in enumerate(names)):
        return None
    return tuple(str(name) for name in names)


def check_same_classes(net: str, of_net: Sequence[str] | None, data: str, of_data: Sequence[str] | None) -> None:
    """Labels mean the same to a net and in data, as far as both have names for them.

    Args:
        net: the net's name, for the error.
        of_net: its classes; None where nobody knows.
        data: the data's name, for the error.
        of_data: likewise.

    Raises:
        ValueError: they differ.
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
        rule += " in one order"
    if len(of_net) <= LISTED:
        received = f"{net} with {_listed(of_net)}; {data} with {_listed(of_data)}"
    else:
        pairs = [(label, mine, other) for label, (mine, other) in enumerate(zip(of_net, of_data, strict=True))]
        differing = [pair for pair in pairs if pair[1] != pair[2]]
        label, mine, other = differing[0]
        more = f", and {len(differing) - 1:,} more differ" if len(differing) > 1 else ""
        received = f"label {label} is {mine} for {net} and {other} in {data}{more}"
    raise InvalidValue(f"Net and data have {rule}. Received: {received}.")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")

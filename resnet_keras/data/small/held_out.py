"""Which training images are held out to validate on (section 4.2)."""

import numpy as np

CIFAR10_VALIDATION = 5_000
"""Section 4.2: "a 45k/5k train/val split"."""
VALIDATION_SHARE = 0.1
"""Share held out of any other training set."""
Places = np.ndarray | slice


def held_out_of(labels: np.ndarray, count: int, source: str) -> tuple[Places, Places, list[str]]:
    """The indices of the training images and of the held-out images, and any warnings.

    Args:
        labels: those of all images, (n,).
        count: number of images to hold out: the last ones, where that leaves a fair part.
        source: what was read, for the warnings.
    """
    cut = len(labels) - count
    only = np.setdiff1d(labels[cut:], labels[:cut])
    if len(only):
        reason = f"The last {count:,} training images have classes that the others lack, such as label {only[0]}"
    elif (labels[:-1] <= labels[1:]).all():
        reason = "The training images are sorted by class"
    else:
        return slice(cut), slice(cut, None), []
    held_out = np.arange(count) * len(labels) // count
    warning = (
        f"{reason}: the {count:,} held-out images are not the last {count:,} but are spread evenly over the whole set. "
        f"Received: {source}."
    )
    return np.setdiff1d(np.arange(len(labels)), held_out), held_out, [warning]

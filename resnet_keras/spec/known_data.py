"""Data sets that are known by what is in them, whatever file or program they come from."""

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR10_FINGERPRINT = "530f1121731a72cd"
"""Of all 60,000 images at 32 pixels, in the order and split that every run on them has."""

"""Data sets recognised by their content, whatever file or program they come from."""

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR10_FINGERPRINT = "530f1121731a72cd"
"""Fingerprint of all 60,000 images at 32 pixels, in their one order, with 5,000 of them held out."""
CIFAR10_NONE_HELD_OUT = "e12f1bf48e9de160"
"""Fingerprint of the same images with none held out and the test images to validate on."""

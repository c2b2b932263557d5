"""Images to train and test on, in one interface, `dataset.Dataset`: `small/` in memory, `photographs/` from disk.

May import `errors` and `spec`.
"""

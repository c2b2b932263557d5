"""Images to train and test on, behind one interface, `dataset.Dataset`: `small/` in memory, `photographs/` from disk.

May import `errors` and `spec`.
"""

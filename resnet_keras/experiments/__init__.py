"""From settings to a run folder: `run`, the estimate of its time, and the provenance that it records.

May import every other wing.
"""

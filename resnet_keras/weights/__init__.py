"""Model files in and out: the archive, HDF5, `load`, `save`, and `convert/` from other projects' files.

May import `errors`, `spec`, `runs` and `nets`.
"""

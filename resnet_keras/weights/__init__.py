"""Reading and writing model files: the archive, HDF5, `load`, `save`, and `convert/` for other projects' files.

May import `errors`, `spec`, `runs` and `nets`.
"""

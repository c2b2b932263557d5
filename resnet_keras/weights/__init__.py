"""Model files in and out: the archive, HDF5, `load`.

May import `errors`, `spec` and `nets`.
"""

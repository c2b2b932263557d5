"""Training: a model, a recipe and images become a run folder.

May import `data`, `nets`, `runs`, `weights` and `backends`.
"""

"""The run folder, the one contract between training, evaluation, plotting and the docs. No Keras.

Its parts: storage, checkpoints, reading, lookup and writing; locking and processes tell who holds the folder.

May import `errors` and `spec`.
"""

"""Published numbers and tables. No Keras.

May import `errors`, `spec` and `runs`.
"""

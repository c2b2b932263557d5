"""What every recipe shares: options, choice of backend, exit codes. No Keras.

May import `errors`, `signals`, `spec` and `runs`.
"""

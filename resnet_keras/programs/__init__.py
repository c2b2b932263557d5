"""What every recipe shares: options, choice of backend, exit codes. No Keras.

May import `errors`, `signals`, `spec`, `runs` and `reports`; `backends` only by name, once a backend is chosen.
"""

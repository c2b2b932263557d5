"""What each backend needs to be as fast as its own loops: devices, kernels, feeding. Each module says what upstream
lacks and when it can be deleted.

May import `errors`, `spec` and `data`.
"""

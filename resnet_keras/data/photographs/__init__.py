"""Photographs, read, decoded and augmented while a net trains, and the views of them that a net is tested on.

May import `errors`, `spec`, `data.dataset` and `data.threads`.
"""

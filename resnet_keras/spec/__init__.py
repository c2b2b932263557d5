"""Descriptions of an experiment before anything runs: networks, recipes, schedules, augmentation, records.

No framework is used.

May import `errors`.
"""

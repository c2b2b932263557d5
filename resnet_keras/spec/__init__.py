"""What is said of an experiment before anything runs: networks, recipes, schedules, augmentation, records. No
framework.

May import `errors`.
"""

"""Testing nets: protocols, scores, their cache and error rates (sections 3.4 and 4.1).

May import everything below `training`.
"""

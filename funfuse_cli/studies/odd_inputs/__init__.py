"""Volumes, files, scenes and computers that something is odd about, and what must come of them.

For the study "robustness", and for tests.
"""

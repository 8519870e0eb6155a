"""Fusion: networks, the engine that runs them over a volume, and the way from two volumes to one."""

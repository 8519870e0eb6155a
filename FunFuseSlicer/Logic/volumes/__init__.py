"""Volumes in patient space: their geometry, their intensities, and the slabs they are worked on by."""

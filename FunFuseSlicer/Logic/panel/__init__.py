"""What the module's panel is made of: one small part for each of its tasks.

Nothing here imports torch, so that the panel opens at once.
"""

"""The interactive page of a result: one file that any browser opens, without a network."""

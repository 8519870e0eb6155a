"""The FunFuse library: a numeric core without Slicer, and the few modules that talk to Slicer.

Only :mod:`scene` and :mod:`registration` know Slicer, and they import it when called. Everything
else is functions on arrays and tensors and runs in any Python with NumPy, SciPy, SimpleITK and
(for the network) PyTorch.
"""

"""The library of the extension.

Numeric rooms, arrays and tensors only, which run in any Python with NumPy, SciPy and SimpleITK (and PyTorch
for the network):

- `volumes`: geometry and intensities of volumes in patient space.
- `registration`: where a PET lies on an MRI, and whether to believe it.
- `fusion`: the network and how it is run. `methods`: other fusion methods. `metrics`: how good an image is.
- `color`: what each contributed, in color. `library`: all of these in one call.
- `report`: the interactive page of a result, which a browser shows.

Above them `scene`, all that touches MRML, and `panel`, the module's widget.
"""

"""Training of the fusion network; needs PyTorch only, and is never imported by the Slicer module."""

"""What needs PyTorch: networks for training and for a GPU, and the paper's network at all."""

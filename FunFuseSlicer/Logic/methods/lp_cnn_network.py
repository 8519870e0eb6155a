"""The network of LP-CNN: which of two images is the sharper one, place by place.

Y. Liu, X. Chen, J. Cheng, H. Peng: A medical image fusion method based on convolutional neural networks.
20th International Conference on Information Fusion, 2017.

The publication joins the 512 maps of both branches in a full connection to two neurons with softmax. Here
what the first neuron gets from a branch is what the second one gets from the other, and there is no bias.
Then the connection is one kernel applied to each branch, a score of sharpness, and the softmax is the
logistic function of the difference of the scores. Swapping the images gives exactly the swapped weights,
and half the weights need not be learned.
"""

import functools

import torch
from torch import nn
from torch.nn import functional

PATCH = 16
STRIDE = 2  # of the pooling: the distance of the patches when a whole image is scored


class SharpnessNetwork(nn.Module):
    """One branch with its share of the full connection."""

    def __init__(self) -> None:
        super().__init__()
        # Mirrored, so that a border looks neither sharp nor blurred.
        convolution = functools.partial(nn.Conv2d, kernel_size=3, padding=1, padding_mode="reflect")
        self.branch = nn.Sequential(
            convolution(1, 64),
            nn.ReLU(),
            convolution(64, 128),
            nn.ReLU(),
            nn.MaxPool2d(STRIDE),
            convolution(128, 256),
            nn.ReLU(),
        )
        self.score = nn.Conv2d(256, 1, PATCH // STRIDE, bias=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The score of each patch, the larger the sharper.

        :param images: (images, 1, rows, columns) in [0, 1]; rows and columns even, PATCH at least.
        :return: (images, 1, rows / 2 - 7, columns / 2 - 7): patches every STRIDE pixels.
        """
        return self.score(self.branch(images))


def mean_over_patches(values: torch.Tensor) -> torch.Tensor:
    """From a value a patch to a value a pixel: the mean of the patches that cover it.

    :param values: (images, 1, rows, columns), patches every STRIDE pixels.
    :return: (images, 1, STRIDE · (rows - 1) + PATCH, STRIDE · (columns - 1) + PATCH).
    """
    patch = torch.ones((1, 1, PATCH, PATCH), dtype=values.dtype)
    total, count = (
        functional.conv_transpose2d(v, patch, stride=STRIDE) for v in (values, torch.ones_like(values))
    )
    return total / count

"""What training minimizes: a function of the fused image, its two sources and λ.

An objective is any ``objective(fused, mri, pet, lam) -> Terms``; images (N, 1, H, W) in [0, 1], λ a
number or (N,). To try another one, write it here and add it to :func:`make_objective`.
"""

import math
from typing import Callable, NamedTuple, Optional

import torch
from torch import Tensor

from FunFuseSlicer.Logic.errors import InputError

from .loss import blur, fusion_terms, structure_maps

OBJECTIVES = ("faithful", "detail")

# Per unit of mean excess over [0, 1]: too little to move the fused image inside, enough to stop the ringing
# that the paper's loss hardly notices beside bright skull; more where contrast is rewarded.
RANGE_WEIGHT, DETAIL_RANGE_WEIGHT = 10.0, 60.0

# A part may be so far below 0 before it has a price: nobody sees that little, and the loss needs it.
PART_SLACK = 0.01
# Of a pixel that may be brighter than both sources; and from which uptake on its order counts.
EXCESS_SLACK, UPTAKE = 0.015, 0.05
# The weight of the PET below which there is a price, and the blur under which it is taken, as in
# metrics.pet_weight; sources that cannot be told apart count as the plain average.
LEAST_SHARE, SHARE_WINDOW, SHARE_BLUR, ALIKE = 0.42, 25, 4.0, 1e-3
# Scalp and fat: bright without uptake. From the first share of the head on they count, from the second on
# fully.
BRIGHT, NO_UPTAKE, SCALP = 0.7, 0.1, (0.05, 0.1)
# At λ = 1 the loss shall be so far below that of the plain average.
MARGIN = 0.01
# Gradients of Sobel's filter, white is 1, that are too weak to be seen.
FAINT_GRADIENT = 0.04
# The steered network can do with less.
STEERED_SLACK = 0.005

# Visual information: window and weight of each scale, fine to coarse, and the eye's noise, as in
# metrics.visual_fidelity; the smallest image that leaves a window at the coarsest scale.
WINDOWS, SCALE_WEIGHTS = (17, 9, 5, 3), (1 / 2.15, 0.0, 0.15 / 2.15, 1 / 2.15)
EYE_NOISE = 0.005
SMALLEST = 41
# Keeps ratios defined and their gradients tame where the sources are flat.
FLAT_VARIANCE, FLAT_INFORMATION = 1.5e-5, 1e-2


class Terms(NamedTuple):
    """What is minimized, and the two halves of the paper's loss for the log; each (N,)."""

    loss: Tensor
    structure: Tensor
    intensity: Tensor


Objective = Callable[[Tensor, Tensor, Tensor, Tensor], Terms]


class Prices(NamedTuple):
    """What is asked beside the objective: weights of :func:`negative_parts` (beyond a slack), of
    :func:`disorder`, of :func:`excess`, of :func:`missing_share`, and of :func:`steadiness.unsteadiness`, for
    which the network is asked again.
    """

    parts: float = 0.0
    slack: float = PART_SLACK
    order: float = 0.0
    excess: float = 0.0
    share: float = 0.0
    steady: float = 0.0

    @property
    def asked(self) -> bool:
        """Whether there is any for :meth:`of`."""
        return any((self.parts, self.order, self.excess, self.share))

    def of(self, fused: Tensor, mri_part: Tensor, pet_part: Tensor, mri: Tensor, pet: Tensor) -> Tensor:
        """What the results of one fusion cost per sample, (N,)."""
        result = self.parts * negative_parts(mri_part, pet_part, self.slack)
        if self.order:
            result = result + self.order * disorder(pet_part, pet)
        if self.excess:
            result = result + self.excess * excess(fused, mri, pet)
        if self.share:
            result = result + self.share * missing_share(fused, mri, pet)
        return result


def faithful(fused: Tensor, mri: Tensor, pet: Tensor, lam) -> Terms:
    """The paper's loss, equation (4), and a small price for leaving [0, 1]."""
    structure, intensity = fusion_terms(fused, mri, pet)
    loss = lam * structure + (1 - lam) * intensity + RANGE_WEIGHT * range_loss(fused)
    return Terms(loss, structure, intensity)


class Wishes(NamedTuple):
    """What "detail" asks beside the paper's loss: weights of :func:`livelier_structure_loss`, of
    :func:`visual_information_loss`, of :func:`gradient_loss`, of :func:`distance_from_brighter`, and of
    :func:`above_average`.
    """

    structure: float = 0.6
    information: float = 0.4
    gradient: float = 0.0
    brightness: float = 0.0
    average: float = 0.0


def detail(wishes: Wishes) -> Objective:
    """:func:`faithful` plus λ times what is wished.

    SSIM with two images at once is content with half of each edge: the fused image is a careful average.
    :func:`livelier_structure_loss` asks for the structure of the source that has more of it, place by place;
    :func:`visual_information_loss` for the contrast to see it, in both. All count in proportion to λ, so
    that λ = 0 stays the average.
    """
    wished = livelier_structure_loss, visual_information_loss, gradient_loss, distance_from_brighter
    terms = [(weight, term) for weight, term in zip(wishes, wished) if weight]

    def objective(fused: Tensor, mri: Tensor, pet: Tensor, lam) -> Terms:
        plain = faithful(fused, mri, pet, lam)
        out = DETAIL_RANGE_WEIGHT - RANGE_WEIGHT
        extra = sum(weight * term(fused, mri, pet) for weight, term in terms)
        if wishes.average:
            extra = extra + wishes.average * above_average(plain, mri, pet, lam)
        return plain._replace(loss=plain.loss + lam * extra + out * range_loss(fused))

    return objective


def make_objective(name: str = "faithful", wishes: Optional[Wishes] = None) -> Objective:
    """The objective of that name.

    :raises InputError: there is none, or a weight is negative.
    """
    if name not in OBJECTIVES:
        raise InputError(f'There is no objective "{name}": choose one of {", ".join(OBJECTIVES)}.')
    wishes = wishes or Wishes()
    if min(wishes) < 0:
        raise InputError("Weights of the objective must not be negative.")
    return faithful if name == "faithful" else detail(wishes)


def negative_parts(mri_part: Tensor, pet_part: Tensor, slack: float = PART_SLACK) -> Tensor:
    """Mean of what lies below a slightly negative part, per sample, (N,).

    A part that takes brightness away is hard to read: what a modality contributed should not be negative.

    :param mri_part: (N, 1, H, W); ``pet_part`` likewise.
    """
    below = (-slack - mri_part).clamp_min(0) + (-slack - pet_part).clamp_min(0)
    return below.mean(dim=(1, 2, 3))


def excess(fused: Tensor, mri: Tensor, pet: Tensor) -> Tensor:
    """Mean of what is brighter than both sources, beyond a slack, per sample, (N,).

    Contrast is easily bought with brightness.
    """
    return (fused - torch.maximum(mri, pet) - EXCESS_SLACK).clamp_min(0).mean(dim=(1, 2, 3))


def disorder(pet_part: Tensor, pet: Tensor) -> Tensor:
    """1 - correlation of the PET part with the PET where there is uptake, per sample, (N,).

    In place of a rank correlation, which has no gradient: the mean over two gray scales, the images as they
    are and their roots, which count what is dark.
    """
    there = (pet > UPTAKE).to(pet.dtype)
    count = there.sum(dim=(1, 2, 3), keepdim=True).clamp_min(1)
    result = pet.new_zeros(len(pet))
    for power in (1.0, 0.5):
        part, uptake = (image.clamp_min(1e-3) ** power for image in (pet_part, pet))
        part, uptake = (
            (image - (image * there).sum(dim=(1, 2, 3), keepdim=True) / count) * there
            for image in (part, uptake)
        )
        squares = part.square().sum(dim=(1, 2, 3)) * uptake.square().sum(dim=(1, 2, 3))
        result = result + 0.5 - 0.5 * (part * uptake).sum(dim=(1, 2, 3)) / (squares + 1e-6).sqrt()
    return result


def missing_share(fused: Tensor, mri: Tensor, pet: Tensor) -> Tensor:
    """What the weight of the PET in the blurred fused image lacks, per sample, (N,).

    The weight is that of :func:`metrics.pet_weight`, the regression of the blurred fused image on the blurred
    sources. Where there is much bright scalp, that is kept and the brain averaged, and the PET hardly shows;
    only there it counts, since elsewhere the paper's loss knows better.
    """
    there = ((mri > 0) | (pet > 0)).to(mri.dtype)
    scalp = ((mri > BRIGHT) & (pet < NO_UPTAKE)).to(mri.dtype).mean(dim=(1, 2, 3))
    scalp = scalp / there.mean(dim=(1, 2, 3)).clamp_min(1e-3)
    counts = ((scalp - SCALP[0]) / (SCALP[1] - SCALP[0])).clamp(0, 1)
    blurred = blur(torch.cat([mri, pet, fused - (mri + pet) / 2], dim=1), SHARE_WINDOW, SHARE_BLUR)
    edge = SHARE_WINDOW // 2
    there = there[:, :, edge:-edge, edge:-edge]
    count = there.sum(dim=(2, 3), keepdim=True).clamp_min(1)
    x, y, z = ((blurred - (blurred * there).sum(dim=(2, 3), keepdim=True) / count) * there).unbind(1)
    count = count[:, 0]

    def moment(a: Tensor, b: Tensor) -> Tensor:
        return ((a * b).sum(dim=(1, 2), keepdim=True) / count)[:, 0, 0]

    xx, yy, xy = moment(x, x) + ALIKE, moment(y, y) + ALIKE, moment(x, y)
    weight = 0.5 + (xx * moment(y, z) - xy * moment(x, z)) / (xx * yy - xy * xy)
    return counts * (LEAST_SHARE - weight).clamp_min(0)


def range_loss(fused: Tensor) -> Tensor:
    """Mean distance from [0, 1] per sample, (N,)."""
    return ((-fused).clamp_min(0) + (fused - 1).clamp_min(0)).mean(dim=(1, 2, 3))


def livelier_structure_loss(fused: Tensor, mri: Tensor, pet: Tensor) -> Tensor:
    """1 - SSIM with the sources, each weighted by its share of the local variance; per sample, (N,).

    After G. Piella, H. Heijmans: A new quality metric for image fusion. ICIP 2003.
    """
    ssim_mri, variance_mri = structure_maps(mri, fused)
    ssim_pet, variance_pet = structure_maps(pet, fused)
    total = variance_mri + variance_pet
    share = torch.where(total > 1e-9, variance_mri / total.clamp_min(1e-9), torch.full_like(total, 0.5))
    return 1.0 - (share * ssim_mri + (1 - share) * ssim_pet).mean(dim=(1, 2, 3))


def gradient_loss(fused: Tensor, mri: Tensor, pet: Tensor) -> Tensor:
    """1 - edges of the sources kept, in strength and direction; per sample, (N,).

    After C. Xydeas, V. Petrović: Objective image fusion performance measure. Electronics Letters 36(4), 2000,
    with the constants of metrics.gradient; faint gradients do not count.
    """
    edges = _sobel(torch.cat([mri, pet, fused], dim=1))
    strength = (edges.square().sum(dim=0) + 1e-8).sqrt()
    theirs, ours = strength[:, :2], strength[:, 2:]
    gain = torch.minimum(theirs, ours) / torch.maximum(theirs, ours)
    dot = (edges[:, :, :2] * edges[:, :, 2:]).sum(dim=0).abs()
    cross = (edges[0, :, :2] * edges[1, :, 2:] - edges[1, :, :2] * edges[0, :, 2:]).abs()
    direction = 1 - torch.atan2(cross, dot + 1e-5) * (2 / math.pi)
    kept = torch.sigmoid(10 * (gain - 0.5)) * torch.sigmoid(20 * (direction - 0.75))
    share = theirs / (theirs.sum(dim=1, keepdim=True) + FAINT_GRADIENT)
    return (share * (1 - kept)).sum(dim=1).mean(dim=(1, 2))


def _sobel(images: Tensor) -> Tensor:
    """Gradients along columns and rows, within the borders, (2, N, C, H-2, W-2)."""
    along = images[..., 2:] - images[..., :-2]
    down = images[..., 2:, :] - images[..., :-2, :]
    along = along[..., :-2, :] + 2 * along[..., 1:-1, :] + along[..., 2:, :]
    down = down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:]
    return torch.stack([along, down])


def distance_from_brighter(fused: Tensor, mri: Tensor, pet: Tensor) -> Tensor:
    """Mean distance from the brighter source at each pixel, per sample, (N,).

    What many methods minimize: uptake and anatomy are as bright as in their images, and none is added.
    """
    return (torch.maximum(mri, pet) - fused).abs().mean(dim=(1, 2, 3))


def above_average(terms: Terms, mri: Tensor, pet: Tensor, lam) -> Tensor:
    """What of the paper's loss is above that of the plain average, or hardly below it; per sample, (N,).

    Where uptake is much the same everywhere, the average is hard to beat, and contrast costs.
    """
    structure, intensity = fusion_terms((mri + pet) / 2, mri, pet)
    average = lam * structure + (1 - lam) * intensity
    return (lam * terms.structure + (1 - lam) * terms.intensity - (1 - MARGIN * lam) * average).clamp_min(0)


def visual_information_loss(fused: Tensor, mri: Tensor, pet: Tensor) -> Tensor:
    """1 - visual information fidelity for fusion, per sample, (N,); below 0 for enhanced contrast.

    After Y. Han, Y. Cai, Y. Cao, X. Xu: A new image fusion performance metric based on visual information
    fidelity. Information Fusion 14(2), 2013; smoothed where the metric has cases.

    :param fused: (N, 1, H, W), at least 41 × 41.
    """
    images = torch.cat([mri, pet, fused], dim=1)
    fidelity = 0.0
    for scale, (weight, window) in enumerate(zip(SCALE_WEIGHTS, WINDOWS)):
        if scale:
            images = _blur(images, window)[:, :, ::2, ::2]
        if weight:
            kept, there = _information(images, window)
            fidelity = fidelity + weight * (kept + FLAT_INFORMATION) / (there + FLAT_INFORMATION)
    return 1.0 - fidelity


def _information(images: Tensor, window: int):
    """Information kept in the fused image and there in the source that comes through weaker, each (N,)."""
    sources, fused = images[:, :2], images[:, 2:]
    moments = torch.cat([sources, fused, sources * sources, fused * fused, sources * fused], dim=1)
    mean, mean_fused, square, square_fused, product = _blur(moments, window).split((2, 1, 2, 1, 2), dim=1)
    variance = (square - mean**2).clamp_min(0)
    covariance = product - mean * mean_fused
    gain = (covariance / (variance + FLAT_VARIANCE)).clamp_min(0)
    distortion = (square_fused - mean_fused**2 - gain * covariance).clamp_min(0)
    kept = torch.log10(1 + gain**2 * variance / (distortion + EYE_NOISE))
    there = torch.log10(1 + variance / EYE_NOISE)
    weaker = (gain[:, :1] < gain[:, 1:]).to(images.dtype)
    weaker = torch.cat([weaker, 1 - weaker], dim=1)
    return (weaker * kept).sum(dim=(1, 2, 3)), (weaker * there).sum(dim=(1, 2, 3))


def _blur(images: Tensor, window: int) -> Tensor:
    """The window of one scale: σ is a fifth of its size."""
    return blur(images, window, window / 5)

"""The dictionary of LP-SR, by K-SVD.

M. Aharon, M. Elad, A. Bruckstein: K-SVD: An algorithm for designing overcomplete dictionaries for sparse
representation. IEEE Transactions on Signal Processing 54(11), 2006. LP-SR's publication learns it from
patches of photographs; here they come from images of the kind that is fused and from their low-pass bands,
to which the dictionary is applied.
"""

from typing import Callable, List

import numpy as np

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.methods.laplacian_pyramid import LEVELS, halved
from FunFuseSlicer.Logic.methods.lp_sr import ATOMS, SIDE, WHITE, sparse_codes

# A patch whose gray levels, of 255, vary less teaches nothing.
SMALLEST_DEVIATION = 2.0
# Atoms this similar are one: all but the first are replaced.
SAME = 0.99


def choose_patches(images: List[np.ndarray], count: int, generator: np.random.Generator) -> np.ndarray:
    """Patches from random places of the images and of the levels of their Gaussian pyramids.

    :param images: (rows, columns) in [0, 1].
    :param count: how many at most; each level gets the same share where it has as many.
    :return: (patches, SIDE²) gray levels of mean 0.
    :raises InputError: fewer than the dictionary has atoms.
    """
    chosen = []
    for level in range(LEVELS + 1):
        if level:
            images = [halved(image) for image in images]
        fitting = [image for image in images if min(image.shape) >= SIDE]
        if not fitting:
            break
        # More than needed of each image: many are flat, and so are sorted out.
        of_each = -(-4 * count // ((LEVELS + 1) * len(fitting)))
        patches = np.concatenate([_random_patches(image, of_each, generator) for image in fitting])
        patches = patches[patches.std(axis=1) >= SMALLEST_DEVIATION]
        chosen.append(generator.permutation(patches)[: count // (LEVELS + 1)])
    patches = np.concatenate(chosen) if chosen else np.zeros((0, SIDE**2))
    if len(patches) < ATOMS:
        raise InputError(
            f"There are {len(patches)} patches of {SIDE} × {SIDE} pixels that are not flat, and {ATOMS} are "
            "needed: give more or larger images, or a larger --patches."
        )
    return patches - patches.mean(axis=1, keepdims=True)


def _random_patches(image: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(WHITE * image, (SIDE, SIDE))
    rows, columns = (generator.integers(size, size=count) for size in windows.shape[:2])
    return windows[rows, columns].reshape(count, SIDE**2)


def learn_dictionary(
    patches: np.ndarray,
    iterations: int,
    atoms_per_patch: int,
    generator: np.random.Generator,
    report: Callable[[float], None],
) -> np.ndarray:
    """K-SVD from random patches on.

    :param patches: (patches, SIDE²) of mean 0, at least ATOMS.
    :param atoms_per_patch: how many atoms may represent a patch.
    :param report: called with the fraction done.
    :return: (SIDE², ATOMS), columns of norm 1 and mean 0.
    """
    first = patches[generator.choice(len(patches), ATOMS, replace=False)].T
    dictionary = first / np.linalg.norm(first, axis=0)
    for iteration in range(iterations):
        report(iteration / iterations)
        codes = sparse_codes(patches, dictionary, atoms=atoms_per_patch)
        residual = patches - codes @ dictionary.T
        for atom in range(ATOMS):
            _update_atom(dictionary, codes, residual, atom)
        _replace_useless(dictionary, codes, patches, residual)
    report(1.0)
    return dictionary


def representation_error(patches: np.ndarray, dictionary: np.ndarray, atoms_per_patch: int) -> float:
    """Root mean square, in gray levels, of what a few atoms leave of the patches."""
    codes = sparse_codes(patches, dictionary, atoms=atoms_per_patch)
    return float(np.sqrt(np.mean((patches - codes @ dictionary.T) ** 2)))


def _update_atom(dictionary, codes, residual, atom: int) -> None:
    """The atom and its coefficients that best fit the patches that use it, in place."""
    users = np.flatnonzero(codes[:, atom])
    if len(users) == 0:
        return
    without = residual[users] + np.outer(codes[users, atom], dictionary[:, atom])
    # The first singular vector, as the eigenvector of the small matrix.
    vector = np.linalg.eigh(without.T @ without)[1][:, -1]
    dictionary[:, atom] = vector
    codes[users, atom] = without @ vector
    residual[users] = without - np.outer(codes[users, atom], vector)


def _replace_useless(dictionary, codes, patches, residual) -> None:
    """Atoms that no patch uses, or that resemble another, become the patches fitted worst."""
    similar = np.triu(np.abs(dictionary.T @ dictionary), 1).max(axis=0) > SAME
    useless = np.flatnonzero(similar | ~codes.any(axis=0))
    worst = np.argsort((residual**2).sum(axis=1), kind="stable")[::-1][: len(useless)]
    dictionary[:, useless] = (patches[worst] / np.linalg.norm(patches[worst], axis=1, keepdims=True)).T

"""The interface of fusion methods: options, and packages that Slicer does not bring."""

import numpy as np
import pytest

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.methods import METHODS, Method

A, B = np.full((2, 4, 5), 0.25)


def weighted(mri, pet, weight):
    return weight * mri + (1 - weight) * pet


def test_options_have_defaults_and_unknown_ones_are_named():
    method = Method("weighted", "weighted average", "", weighted, {"weight": 0.25})
    np.testing.assert_array_equal(method(A, 2 * B), 0.25 * A + 0.75 * 2 * B)
    np.testing.assert_array_equal(method(A, 2 * B, weight=1.0), A)
    with pytest.raises(InputError, match="weighted average has no option strength: there are weight"):
        method(A, B, strength=2)
    with pytest.raises(InputError, match="average has no option weight: there are none"):
        METHODS["average"](A, B, weight=1)


def test_a_missing_package_is_told_with_the_remedy():
    method = Method(
        "odd", "Odd", "", weighted, {"weight": 0.5}, needs=(("no_such_module", "no-such-package"),)
    )
    assert "no-such-package: install it" in method.problem()
    with pytest.raises(InputError, match="Odd needs the Python package no-such-package"):
        method(A, B)
    assert METHODS["average"].problem() is None

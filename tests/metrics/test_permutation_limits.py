"""Which bits flip which unit, at and beside a whole word of them."""

import numpy as np
import pytest

from handbench.metrics.permutation import sign_flip_test


@pytest.mark.parametrize("units", [63, 64, 65, 128, 129])
def test_the_flips_are_the_bits_of_whole_words(units):
    """The same seed gives the same p tomorrow, in any version: unit u of draw d is bit u of the d-th row of words."""
    values = np.random.default_rng(units).normal(0.1, 1, units)
    words = np.random.default_rng(3).integers(0, 2**64, (199, -(-units // 64)), np.uint64).tolist()
    bits = ["".join(f"{byte:08b}" for word in row for byte in word.to_bytes(8, "little")) for row in words]
    signs = 1 - 2 * np.array([[int(bit) for bit in row[:units]] for row in bits])
    as_far = np.abs(signs @ values) >= abs(values.sum()) - 1e-9
    (found,) = sign_flip_test(values, seed=3, draws=199)
    assert found.p == (1 + as_far.sum()) / 200


def test_units_are_counted_in_whole_numbers():
    (found,) = sign_flip_test([1.0, 2.0, np.nan])
    assert type(found.units) is int

"""Joint orders, against the constants of the datasets' own descriptions."""

from __future__ import annotations

import numpy as np
import pytest

from handbench.errors import UsageError
from handbench.hands.joints import BONES, FINGERTIPS, JOINT_NAMES, ORDERS, detect_order, from_fh21, to_fh21
from tests.conftest import hands_in_view

# each source order in words, from the datasets' own papers and scripts
FINGERS = ("thumb", "index", "middle", "ring", "little")
UP, DOWN = ("MCP", "PIP", "DIP", "fingertip"), ("fingertip", "DIP", "PIP", "MCP")
IN_WORDS = {
    "fh21": ["wrist", *(f"{f} {j}" for f in FINGERS for j in UP)],
    "ho3d": [
        "wrist",
        *(f"{f} {j}" for f in ("index", "middle", "little", "ring", "thumb") for j in UP[:3]),
        *(f"{f} fingertip" for f in FINGERS),
    ],
    "rhd": ["wrist", *(f"{f} {j}" for f in FINGERS for j in DOWN)],
    "stb": ["wrist", *(f"{f} {j}" for f in reversed(FINGERS) for j in UP)],
}


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_reads_as_its_dataset_describes_it(order):
    names = np.array(IN_WORDS[order])[:, None]
    assert tuple(to_fh21(names, order)[:, 0]) == JOINT_NAMES
    assert list(from_fh21(to_fh21(names, order), order)[:, 0]) == IN_WORDS[order]


def test_the_inverse_of_ho3d_is_the_published_one():
    published = [0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3, 4, 8, 12, 16, 20]
    assert list(from_fh21(np.arange(21)[:, None], "ho3d")[:, 0]) == published


def test_bones_lead_from_the_wrist_to_every_tip():
    assert len(BONES) == 20
    assert (0, 9) in BONES
    assert (9, 10) in BONES
    assert (19, 20) in BONES
    assert (4, 5) not in BONES


def test_six_right_hand_fingertip_sets_and_a_left_one():
    assert len(FINGERTIPS) == 7
    assert FINGERTIPS["freihand"] == (744, 320, 443, 555, 672)
    assert FINGERTIPS["ho3d"] == (728, 353, 442, 576, 694)
    differing = [
        i
        for i, pair in enumerate(zip(FINGERTIPS["manopth"], FINGERTIPS["manopth-left"], strict=True))
        if pair[0] != pair[1]
    ]
    assert differing == [2]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("unit", [1.0, 1000.0])
def test_the_detector_names_the_order_whatever_the_unit_and_axes(order, unit):
    hands = from_fh21(hands_in_view(20), order) * unit
    assert detect_order(hands)[0] == order
    assert detect_order(hands * [1, -1, -1])[0] == order


def test_real_hands_one_by_one(real_data):
    import scipy.io

    hands = scipy.io.loadmat(real_data / "ge_realworld/pose_gt.mat")["pose_gt"]
    for order in ORDERS:
        found = [detect_order(from_fh21(hand[None], order))[0] for hand in hands[::10]]
        assert found == [order] * len(found)


def test_an_unknown_order_is_a_usage_error():
    with pytest.raises(UsageError, match="mpii"):
        to_fh21(np.zeros((21, 3)), "mpii")

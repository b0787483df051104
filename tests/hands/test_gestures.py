"""A hand that makes a gesture is called by its name, wherever it is, however big, right or left."""

from __future__ import annotations

import numpy as np
import pytest

from handbench.errors import UsageError
from handbench.hands.gestures import GESTURES, INVERTED, gestures, to_palm_frame, view_of
from handbench.synth.hand import synthetic_hand
from handbench.synth.poses import GESTURES as POSES
from handbench.synth.poses import gesture

NAMED = [name for name in GESTURES if name in POSES]
MIRROR = np.array([-1.0, 1.0, 1.0])
AWAY = np.diag([-1.0, 1.0, -1.0])


def upright(pose: str, view: str = "palm", shape: float = 0.0) -> np.ndarray:
    """A posed right hand (21, 3) m, half a metre from the camera, as its view wants it."""
    hand = synthetic_hand("right")
    vertices, joints16 = hand.forward(gesture(pose)[None], np.full((1, 10), shape))
    joints = hand.joints21(vertices, joints16, "freihand")
    return 0.09 * to_palm_frame(joints, "right")[0] @ view_of(view).T + [0.02, -0.01, 0.5]


def called(joints: np.ndarray, side: str = "right") -> str:
    (index,) = gestures(joints[None], side)
    return GESTURES[index]


def test_there_are_nineteen_in_the_papers_order():
    assert len(set(GESTURES)) == 19
    assert GESTURES[0] == "call"
    assert GESTURES[5] == "mute"
    assert GESTURES[-1] == "no_gesture"


@pytest.mark.parametrize("name", NAMED)
def test_every_named_pose_is_recognised(name):
    assert len(NAMED) == 15
    # by the index finger alone they cannot be told apart
    expected = "one" if name == "mute" else name
    for shape in (-1.0, 0.0, 1.0):
        assert called(upright(name, name, shape)) == expected


@pytest.mark.parametrize("name", ["palm", "stop", "two_up", "peace", "three", "four", "one", "fist", "rock", "ok"])
def test_the_back_of_the_hand_inverts_the_three_that_have_a_name_for_it(name):
    turned = upright(name) @ AWAY
    assert called(turned) == INVERTED.get(name, name)


def test_the_thumb_decides_between_like_and_dislike():
    assert called(upright("like", "like")) == "like"
    assert called(upright("like", "dislike")) == "dislike"
    # a thumb to the side is neither
    sideways = upright("like", "like") @ np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    assert called(sideways) == "no_gesture"


@pytest.mark.parametrize("name", ["relax", "grip", "point", "pinch"])
def test_what_has_no_name_is_no_gesture(name):
    assert called(upright(name)) == "no_gesture"


@pytest.mark.parametrize("name", NAMED)
def test_neither_size_nor_place_nor_side_matters(name):
    joints = upright(name, name)
    expected = called(joints)
    assert called(1000 * joints) == expected
    assert called(0.3 * joints + [3.0, -2.0, 7.0]) == expected
    assert called(joints * MIRROR, "left") == expected
    for view in (name, "stop_inverted"):
        seen = upright(name, view)
        assert called(seen) == called(seen * MIRROR, "left")


def test_unknown_joints_give_an_unknown_gesture_and_nonsense_gives_no_error():
    joints = np.stack([upright("palm"), upright("fist"), np.zeros((21, 3))])
    joints[1, 7] = np.nan
    assert gestures(joints, ["right", "left", "right"]).tolist() == [GESTURES.index("palm"), -1, -1]
    wild = np.random.default_rng(0).normal(size=(500, 21, 3))
    found = gestures(wild, "right")
    assert found.shape == (500,)
    assert set(found.tolist()) <= set(range(19))
    assert gestures(np.zeros((0, 21, 3)), "right").shape == (0,)
    with pytest.raises(UsageError, match="no side 'both'"):
        gestures(joints, "both")


def test_the_palms_frame_undoes_any_turn_and_makes_left_hands_right():
    joints = upright("peace")
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    expected = to_palm_frame(joints[None], "right")
    assert np.allclose(to_palm_frame(2 * joints[None] @ turn.T + 1, "right"), expected)
    assert np.allclose(to_palm_frame(joints[None] * MIRROR, "left"), expected)
    assert np.allclose(expected[0, 9], [0, -1, 0])
    assert np.allclose(expected[0, 0], 0)

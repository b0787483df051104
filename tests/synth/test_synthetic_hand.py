"""The synthetic hand is a hand, in MANO's form."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from mesh_geometry import capped, edges, self_intersections

from handbench.errors import UsageError
from handbench.hands.joints import FINGERS, FINGERTIPS, MANO16_IN_FH21
from handbench.hands.mano import hand_model_bytes, load_hand_model
from handbench.synth import hand as synthetic
from handbench.synth.bodies import boundary_loop
from handbench.synth.hand import synthetic_hand
from handbench.synth.poses import gesture, joint_frames, sample_poses, to_pose
from handbench.synth.skeleton import skeleton

ORIGIN = np.zeros((1, 48)), np.zeros((1, 10))


@pytest.fixture(scope="module", params=["right", "left"])
def model(request):
    return synthetic_hand(request.param)


def shaped(model, betas):
    return model.v_template + model.shapedirs @ betas


def test_it_has_manos_counts_and_one_open_boundary_of_sixteen_edges(model):
    assert model.v_template.shape == (778, 3)
    assert model.f.shape == (1538, 3)
    directed = edges(model.f)
    undirected, count = np.unique(np.sort(directed, 1), axis=0, return_counts=True)
    assert len(undirected) == 2315  # V - E + F = 1: a disk
    assert sorted(set(count.tolist())) == [1, 2]
    assert (count == 1).sum() == 16
    assert len(boundary_loop(model.f)) == 16
    assert np.array_equal(np.unique(model.f), np.arange(778))


def test_its_faces_are_oriented_alike(model):
    directed = edges(model.f)
    assert len(np.unique(directed, axis=0)) == len(directed)


def test_it_is_connected(model):
    reached, front = {0}, [0]
    around = {}
    for a, b in edges(model.f).tolist():
        around.setdefault(a, set()).add(b)
        around.setdefault(b, set()).add(a)
    while front:
        new = around[front.pop()] - reached
        reached |= new
        front.extend(new)
    assert len(reached) == 778


def test_it_does_not_cut_itself_at_rest(model):
    assert len(self_intersections(model.v_template, model.f)) == 0
    # The check itself sees a cut: the little finger's tip pushed into the palm.
    broken = model.v_template.copy()
    broken[672] = model.J_regressor[4] @ model.v_template
    assert len(self_intersections(broken, model.f)) > 0


def test_plausible_people_do_not_cut_themselves_much():
    right = synthetic_hand()
    rng = np.random.default_rng(5)
    cuts = [len(self_intersections(shaped(right, rng.standard_normal(10)), right.f)) for _ in range(12)]
    assert sum(c > 0 for c in cuts) <= 2
    assert max(cuts) <= 8


def test_its_normals_point_outwards(model):
    vertices, faces = capped(model.v_template, model.f, boundary_loop(model.f))
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    volume = np.einsum("ij,ij->", a, np.cross(b, c)) / 6
    assert 2.2e-4 < volume < 4.5e-4  # an adult hand displaces some 0.3 to 0.4 litres


def test_rays_from_just_above_each_face_leave_the_hand_and_from_just_below_do_not(model):
    trimesh = pytest.importorskip("trimesh")
    pytest.importorskip("embreex")
    vertices, faces = capped(model.v_template, model.f, boundary_loop(model.f))
    mesh = trimesh.Trimesh(vertices * 10, faces, process=False)
    middles, normals = mesh.triangles_center[:1538], mesh.face_normals[:1538]
    rng = np.random.default_rng(0)
    ways = rng.standard_normal((1538, 3))
    ways[(ways * normals).sum(1) < 0] *= -1
    for offset, odd in ((1e-3, 0), (-1e-3, 1)):
        origins = middles + offset * normals
        _, ray = mesh.ray.intersects_id(origins, ways, multiple_hits=True, return_locations=False)[:2]
        hits = np.bincount(ray, minlength=1538)
        # Crotches are narrower than the offset in places, and embree misses an edge now and then.
        assert (hits % 2 == odd).mean() > 0.985


def test_weights_are_a_smooth_partition_of_unity(model):
    w = model.weights
    assert w.min() >= 0
    assert np.allclose(w.sum(1), 1, atol=1e-12)
    jump = np.abs(w[edges(model.f)[:, 0]] - w[edges(model.f)[:, 1]]).max(1)
    assert jump.max() < 0.72
    assert np.percentile(jump, 95) < 0.4
    assert ((w > 0).sum(1) <= 6).all()
    # The flesh of each phalanx goes with it: every joint (almost) alone carries some vertices.
    assert (w.max(0) > 0.95).all()
    wrist = boundary_loop(model.f)
    assert (w[wrist, 0] == 1).all()


def test_the_joints_lie_inside_the_hand_at_the_middle_of_the_finger(model):
    trimesh = pytest.importorskip("trimesh")
    pytest.importorskip("embreex")
    assert np.allclose(model.J_regressor.sum(1), 1, atol=1e-12)
    assert model.J_regressor.min() >= 0
    assert (model.J_regressor > 0).sum(1).max() <= 60
    vertices, faces = capped(model.v_template, model.f, boundary_loop(model.f))
    joints = model.J_regressor @ model.v_template
    assert trimesh.Trimesh(vertices * 10, faces, process=False).contains(joints * 10).all()
    # Not near the skin: half a centimetre of flesh around each, and at most 2.5 cm.
    away = np.linalg.norm(model.v_template[:, None] - joints, axis=-1).min(0)
    assert (away > 0.005).all()
    assert (away < 0.025).all()


def test_the_joints_stay_in_place_when_the_shape_changes():
    right = synthetic_hand()
    rng = np.random.default_rng(1)
    for _ in range(10):
        betas = rng.standard_normal(10)
        assert np.linalg.norm(right.J_regressor @ shaped(right, betas) - skeleton(betas).joints, axis=1).max() < 1.5e-3


def test_bones_are_as_long_as_an_adults(model):
    vertices, joints = model.forward(*ORIGIN)
    fh = model.joints21(vertices, joints, "freihand")[0]

    def length(a, b):
        return 1e3 * np.linalg.norm(fh[a] - fh[b])

    assert length(0, 9) == pytest.approx(91, abs=3)
    assert length(9, 10) == pytest.approx(45, abs=1)
    assert length(5, 6) == pytest.approx(41, abs=1)
    assert length(17, 18) == pytest.approx(33, abs=1)
    hand_length = 1e3 * np.abs(fh[12] - fh[0]).max()
    assert 175 < hand_length < 200


def test_the_rest_pose_is_manos(model):
    """Fingers along -x (left: +x), back of the hand up, thumb towards +z on both."""
    vertices, joints = model.forward(*ORIGIN)
    fh = model.joints21(vertices, joints, "freihand")[0]
    sign = -1 if model.side == "right" else 1
    assert ((fh[[8, 12, 16, 20]] - fh[0])[:, 0] * sign > 0.13).all()
    assert fh[4, 2] > fh[8, 2] > fh[12, 2] > fh[16, 2] > fh[20, 2]
    bent = model.forward(gesture("fist", model.side)[None], np.zeros((1, 10)))
    tips = model.joints21(*bent, "freihand")[0][[8, 12, 16, 20]]
    assert (tips[:, 1] < fh[[5, 9, 13, 17], 1]).all()  # a fist closes towards the palm, downwards


def test_each_joint_moves_its_own_finger():
    right = synthetic_hand()
    rest = right.joints21(*right.forward(*ORIGIN), "freihand")[0]
    for j in range(15):
        angles = np.zeros((1, 15, 3))
        angles[0, j, 0] = 30
        moved = right.joints21(*right.forward(to_pose(angles), np.zeros((1, 10))), "freihand")[0]
        far = np.flatnonzero(np.linalg.norm(moved - rest, axis=1) > 0.003)
        at = MANO16_IN_FH21[j + 1]
        end = 4 * ((at - 1) // 4) + 4
        assert far.tolist() == list(range(at + 1, end + 1))


@pytest.mark.parametrize("name", FINGERTIPS)
def test_every_fingertip_set_lands_on_the_fingertips(model, name):
    bones = skeleton(np.zeros(10))
    mirror = np.array([1.0 if model.side == "right" else -1.0, 1, 1])
    joints = model.J_regressor @ model.v_template
    last = dict(zip(("index", "middle", "little", "ring", "thumb"), (3, 6, 9, 12, 15), strict=True))
    for finger, vertex in zip(FINGERS, FINGERTIPS[name], strict=True):
        point = model.v_template[vertex]
        assert np.linalg.norm(point - bones.fingers[finger].points[3] * mirror) < 0.0068
        # No vertex of the hand lies much further along the last bone.
        way = bones.fingers[finger].axis[2] * mirror
        reach = (model.v_template - joints[last[finger]]) @ way
        own = model.weights[:, last[finger]] > 0.9
        assert reach[own].max() - reach[vertex] < 0.0045
        assert own[vertex]


def test_freihands_fingertips_are_the_very_tips(model):
    mirror = np.array([1.0 if model.side == "right" else -1.0, 1, 1])
    for finger, vertex in zip(FINGERS, (744, 320, 443, 555, 672), strict=True):
        tip = skeleton(np.zeros(10)).fingers[finger].points[3] * mirror
        assert np.linalg.norm(model.v_template[vertex] - tip) < 0.001


def test_no_two_fingertip_ids_are_the_same_place(model):
    ids = sorted({i for ids in FINGERTIPS.values() for i in ids})
    apart = np.linalg.norm(model.v_template[ids][:, None] - model.v_template[ids], axis=-1)
    assert apart[~np.eye(len(ids), dtype=bool)].min() > 5e-4


def test_the_pose_space_is_orthonormal_and_about_a_relaxed_hand(model):
    c = model.hands_components
    assert np.allclose(c @ c.T, np.eye(45), atol=1e-10)
    assert np.allclose(model.hands_mean, gesture("relax", model.side)[3:], atol=1e-12)
    poses = sample_poses(300, np.random.default_rng(9), model.side)[:, 3:] - model.hands_mean
    spread = (poses @ c.T).std(0)
    # Sorted by what they explain: ten of 45 carry most of the variance.
    assert (spread[:10] ** 2).sum() > 0.8 * (spread**2).sum()


def test_shapes_are_plausible_people(model):
    for k in range(10):
        move = np.linalg.norm(model.shapedirs[..., k], axis=1)
        assert 0.0005 < move.max() < 0.02
    rng = np.random.default_rng(2)
    for _ in range(5):
        betas = rng.standard_normal(10)
        low, high = shaped(model, betas).min(0), shaped(model, betas).max(0)
        assert 0.16 < (high - low)[0] < 0.25


def test_pose_blend_shapes_are_small_and_everywhere(model):
    size = np.abs(model.posedirs).max((0, 1))
    assert (size > 1e-6).all()
    assert np.abs(model.posedirs).max() < 0.003
    # Bending the middle finger's middle joint lifts its knuckle beyond what skinning does.
    angles = np.zeros((1, 15, 3))
    angles[0, 4, 0] = 90
    pose = to_pose(angles, model.side)
    flat = type(model)(side=model.side, source=model.source, **{**model.arrays(), "posedirs": model.posedirs * 0})
    one, two = (m.forward(pose, np.zeros((1, 10)))[0] for m in (model, flat))
    change = np.linalg.norm(one - two, axis=-1)
    assert 0.0005 < change.max() < 0.005


def test_the_left_hand_is_the_mirror_of_the_right_in_every_pose_and_shape():
    right, left = synthetic_hand("right"), synthetic_hand("left")
    rng = np.random.default_rng(4)
    pose = sample_poses(4, rng)
    pose[:, :3] = rng.standard_normal((4, 3))
    betas = rng.standard_normal((4, 10))
    mirrored = (pose.reshape(4, 16, 3) * [1, -1, -1]).reshape(4, 48)
    one, two = right.forward(pose, betas), left.forward(mirrored, betas)
    for a, b in zip(one, two, strict=True):
        assert np.allclose(a * [-1, 1, 1], b, atol=1e-12)
    assert np.allclose(left.hands_components * np.tile([1, -1, -1], 15), right.hands_components)


def test_smplx_takes_it_as_it_is(model):
    torch = pytest.importorskip("torch")
    smplx = pytest.importorskip("smplx")
    from smplx.utils import Struct

    with contextlib.redirect_stdout(io.StringIO()):
        layer = smplx.MANO(
            model_path=f"MANO_{model.side.upper()}.pkl",
            data_struct=Struct(**model.arrays()),
            is_rhand=model.side == "right",
            use_pca=False,
            flat_hand_mean=True,
            dtype=torch.float64,
        )
    rng = np.random.default_rng(6)
    pose = rng.standard_normal((5, 48)) * 0.5
    betas, shift = rng.standard_normal((5, 10)), rng.standard_normal((5, 3))
    as_tensor = torch.tensor
    with torch.no_grad():
        out = layer(
            betas=as_tensor(betas),
            global_orient=as_tensor(pose[:, :3]),
            hand_pose=as_tensor(pose[:, 3:]),
            transl=as_tensor(shift),
        )
    vertices, joints = model.forward(pose, betas, shift)
    assert np.abs(out.vertices.numpy() - vertices).max() < 1e-8  # 1e-5 mm
    assert np.abs(out.joints.numpy()[:, :16] - joints).max() < 1e-8


def test_it_is_the_same_each_time_it_is_built():
    digest = synthetic_hand().digest()
    synthetic._right.cache_clear()
    assert synthetic_hand().digest() == digest
    assert synthetic_hand() is synthetic_hand("right")


def test_it_survives_its_file(tmp_path, model):
    (tmp_path / "hand.npz").write_bytes(hand_model_bytes(model))
    again = load_hand_model(tmp_path / "hand.npz")
    assert again.digest() == model.digest()
    assert (again.side, again.source) == (model.side, "synthetic")


def test_an_unknown_side_is_refused():
    with pytest.raises(UsageError, match="middle"):
        synthetic_hand("middle")


def test_joint_frames_are_right_handed_and_follow_the_bones():
    frames = joint_frames()
    assert np.allclose(np.linalg.det(frames), 1)
    assert np.allclose(np.swapaxes(frames, 1, 2) @ frames, np.eye(3), atol=1e-12)
    joints = skeleton(np.zeros(10)).joints
    for j in (0, 1, 3, 4, 6, 7, 9, 10, 12, 13):
        bone = joints[j + 2] - joints[j + 1]
        assert np.allclose(bone / np.linalg.norm(bone), frames[j, :, 2], atol=1e-9)

"""What is inside a trained CLIP-Hand3D, and the PCK curves of rows: the numbers, and that they are drawn."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from handbench.errors import InvalidError
from handbench.evaluation.protocol import load
from handbench.evaluation.result_file import read_result, write_result
from handbench.evaluation.scoring import evaluate
from handbench.hands.camera import joint_box, project
from handbench.hands.joints import JOINT_NAMES
from handbench.hands.record import Hands
from handbench.metrics import curves
from handbench.report.heatmap_planes import draw_planes
from handbench.report.logit_matrices import draw_matrices, matched, matrices_record
from handbench.report.pck_curves import curve_of, draw_curves, read_curves
from handbench.store.hands_file import HandsFile
from handbench.store.hands_writer import write_hands
from tests.cli.test_bad_input import refused
from tests.conftest import CAMERA, hands_in_view, jpeg

torch = pytest.importorskip("torch")

SIZE, N = 64, 5
CLIP = {"weights": "random", "random_layers": 1, "random_width": 64, "encoder_layers": 1, "n_joints": 6}
TINY = {"input": SIZE, "backbone": {"name": "resnet10t"}, "hm": "planes", "mesh_layers": 1, "mesh_heads": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pictures")


def checkpoint(path, hand, clip: bool = True):
    from handbench.inference.checkpoint import save_checkpoint
    from handbench.methods.clip_hand3d import ClipHand3D, ClipHand3DConfig

    torch.manual_seed(3)
    config = ClipHand3DConfig.model_validate({**TINY, "clip": {**CLIP, "enabled": clip}})
    method = ClipHand3D(config, hand, "freihand")
    method.begin_training()
    # joints away from the middle, as after some training
    with torch.no_grad():
        for conv in (method.lixel.x, method.lixel.y, method.lixel.z):
            conv.weight.mul_(200)
    about = {"variant": "full", "size": "tiny", "seed": 0, "margin": 1.3, "fingertips": "freihand"}
    save_checkpoint(path, method, hand, about)
    return path


@pytest.fixture(scope="module")
def trained(folder):
    from handbench.synth.hand import synthetic_hand

    return checkpoint(folder / "best.pt", synthetic_hand())


@pytest.fixture(scope="module")
def model(trained):
    from handbench.inference.latent import Trained

    return Trained(trained, "clip-hand3d", text=True)


@pytest.fixture(scope="module")
def without_text(folder):
    from handbench.synth.hand import synthetic_hand

    return checkpoint(folder / "plain.pt", synthetic_hand(), clip=False)


def some(n: int = N, **changes) -> Hands:
    joints = hands_in_view(n)
    camera = np.tile(CAMERA, (n, 1, 1))
    fields = {
        "id": np.array([f"freihand/test/{i:08d}" for i in range(n)]),
        "joints": joints,
        "joints_valid": np.ones((n, 21), bool),
        "camera": camera,
        "image_size": np.full((n, 2), 224),
        "box": joint_box(project(joints, camera)),
    }
    return Hands(**{**fields, **changes}, meta={"dataset": "freihand", "split": "test", "source": "a test"})


def stored(path, hands: Hands):
    write_hands(path, hands, [jpeg(i) for i in range(len(hands))])
    return path


@pytest.fixture(scope="module")
def truth(folder):
    return stored(folder / "truth.h5", some())


def drawn(path, least: int = 400) -> np.ndarray:
    image = cv2.imread(str(path))
    assert image is not None
    assert min(image.shape[:2]) >= least
    # something is on it
    assert (image < 128).any()
    return image


# --- logits ---------------------------------------------------------------------------------------------------------


def test_the_logits_are_those_of_the_contrastive_loss(model, truth):
    """The loss of the method's own text branch, over this batch and these prompts, follows from the matrices."""
    from handbench.inference.latent import logits
    from handbench.methods.blocks.lixel import Lixels

    with HandsFile(truth) as file, torch.inference_mode():
        found = logits(model, file, N)
        output = model.outputs(model.batch(file, np.arange(N)))
        lixels = Lixels(output["x"], output["y"], output["z"])
        expected = float(model.model.contrast(lixels, found.prompts, model.model.text))
    assert found.logits.shape == (3, N, N)
    assert all(len(set(said)) == N for said in found.prompts), "equal prompts would be no negatives"
    losses = []
    for matrix in found.logits.astype(np.float64):
        over_texts = np.log(np.exp(matrix).sum(1)) - np.diag(matrix)
        over_poses = np.log(np.exp(matrix).sum(0)) - np.diag(matrix)
        losses.append(over_texts.mean() + over_poses.mean())
    assert np.mean(losses) == pytest.approx(expected, abs=1e-5)


def test_rows_are_poses_and_columns_are_texts_and_the_axes_are_x_y_z(model, truth):
    from handbench.inference.latent import logits

    with HandsFile(truth) as file, torch.inference_mode():
        found = logits(model, file, N)
        output = model.outputs(model.batch(file, np.arange(N)))
        contrast, text = model.model.contrast, model.model.text
        assert found.logits.shape == (3, N, N)
        for axis, name in enumerate("xyz"):
            pose = contrast.pose[axis](output[name].flatten(1))[1].numpy()
            words = contrast.encode_text(axis, found.prompts[axis], text, torch.device("cpu"))[3].numpy()
            cosine = pose @ words / np.linalg.norm(pose) / np.linalg.norm(words)
            assert found.logits[axis, 1, 3] == pytest.approx(found.scales[axis] * cosine, abs=1e-4)
    assert found.prompts[0][0].startswith("From left to right")
    assert found.prompts[1][0].startswith("From top to bottom")
    assert found.prompts[2][0].startswith("From near to far")


def test_prompts_follow_the_truth_and_name_annotated_joints_only(model, tmp_path):
    from handbench.inference.latent import logits

    valid = np.zeros((N, 21), bool)
    valid[:, [0, 9, 12]] = True
    valid[2, 9] = False
    path = stored(tmp_path / "a.h5", some(joints_valid=valid))
    with HandsFile(path) as file:
        found = logits(model, file, 10)
    # without its bone the third sample cannot be shown
    assert found.ids == [f"freihand/test/{i:08d}" for i in (0, 1, 3, 4)]
    names = {j: JOINT_NAMES[j] for j in (0, 9, 12)}
    joints = hands_in_view(N)[1]
    for axis, prompts in enumerate(found.prompts):
        order = sorted(names, key=lambda j: joints[j, axis])
        places = [prompts[1].index(names[j]) for j in order]
        assert places == sorted(places)
        assert sum(name in prompts[1] for name in JOINT_NAMES) == 3


def test_a_matrix_made_by_hand(tmp_path):
    """The second pose is nearest to the third text, which says the same; the third to the first, which does not."""
    matrix = np.array([[5.0, 1, 0], [0, 2, 3], [4, 1, 2]])
    assert matched(matrix, ["a", "b", "b"]) == 2
    assert matched(matrix, ["a", "b", "c"]) == 1
    three = np.stack([matrix, matrix.T, -matrix])
    prompts, ids = [["a", "b", "c"]] * 3, ["s/0", "s/1", "s/2"]
    record = matrices_record(three, ids, prompts, np.array([1.0, 2.0, 3.0]))
    assert [axis["axis"] for axis in record["axes"]] == ["left to right", "top to bottom", "near to far"]
    assert record["axes"][1]["logits"][0] == [5, 0, 4]
    assert [axis["matched"] for axis in record["axes"]] == [1, 2, 0]
    draw_matrices(three, prompts, np.zeros((3, 8, 8, 3), np.uint8), ids, tmp_path / "a.png", "a")
    drawn(tmp_path / "a.png")


def test_report_logits(handbench, home, trained, truth, tmp_path):
    ran = handbench(
        *("report", "logits", "clip-hand3d", "--checkpoint", trained, "--data", truth),
        *("--samples", 3, "--json", tmp_path / "a.json"),
    )
    assert ran.code == 0, ran.err
    path = home / "pictures/freihand/clip-hand3d-full.tiny-0-logits.png"
    assert ran.out == f"{path}\n"
    drawn(path)
    record = json.loads((tmp_path / "a.json").read_text())
    assert record["row"]["weights"]["clip"] == "random"
    assert record["ids"] == [f"freihand/test/{i:08d}" for i in (0, 2, 4)]
    assert np.array([axis["logits"] for axis in record["axes"]]).shape == (3, 3, 3)
    again = handbench(
        *("report", "logits", "clip-hand3d", "--checkpoint", trained, "--data", truth, "--samples", 3, "--json", "-")
    )
    assert json.loads(again.out) == record, "random CLIP and the draw of the joints are the same again"


def test_refusals_of_logits(handbench, trained, without_text, truth, tmp_path):
    command = ("report", "logits", "clip-hand3d", "--data", truth)
    refused(handbench(*command), 3, "There is no checkpoint", "handbench train clip-hand3d")
    refused(handbench(*command, "--checkpoint", without_text), 2, "no text branch", "--variant full")
    refused(handbench(*command, "--checkpoint", trained, "--samples", 1), 2, "nothing to tell apart", "--samples 2")
    refused(handbench("report", "logits", "mean-pose", "--checkpoint", trained), 2, "mean-pose", "clip-hand3d")
    one = stored(tmp_path / "one.h5", some(1))
    refused(handbench(*command[:-1], one, "--checkpoint", trained), 4, "fewer than 2 samples")
    none = stored(tmp_path / "none.h5", some(joints=None, joints_valid=None))
    refused(handbench(*command[:-1], none, "--checkpoint", trained), 4, "has no joints", "published truth")
    refused(handbench(*command, "--checkpoint", trained, "--out", truth), 2, "is an input")


# --- heat-maps ------------------------------------------------------------------------------------------------------


def test_the_planes_peak_where_the_joints_are():
    from handbench.inference.latent import joint_planes

    # bins of 16: u in column 2, v in row 5, d in 11; another joint far from it
    uvd = torch.tensor([[[2.5 / 16, 5.5 / 16, 11.5 / 16], [12.5 / 16, 13.5 / 16, 3.5 / 16]]])
    xy, xz, yz = joint_planes(uvd, 16, 1.0)[0].numpy()
    for plane, row, column in ((xy, 5, 2), (xz, 11, 2), (yz, 11, 5)):
        assert plane[row, column] == pytest.approx(1.0)
    for plane, row, column in ((xy, 13, 12), (xz, 3, 12), (yz, 3, 13)):
        assert plane[row, column] == pytest.approx(1.0)
        assert np.count_nonzero(plane > 0.99) == 2
    # two joints at one place are no brighter than one
    assert joint_planes(uvd[:, [0, 0]], 16, 1.0).max() == pytest.approx(1.0)


def test_the_heat_maps_of_a_checkpoint_are_those_of_its_joints(model, truth):
    from handbench.inference.latent import heatmap_planes

    with HandsFile(truth) as file:
        found = heatmap_planes(model, file, ["3", "freihand/test/00000001"], 9)
    assert found.ids == ["freihand/test/00000003", "freihand/test/00000001"]
    assert found.maps.shape == (2, 3, SIZE // 4, SIZE // 4)
    bins = (found.joints * (SIZE // 4)).astype(int).clip(0, SIZE // 4 - 1)
    for maps, joints in zip(found.maps, bins, strict=True):
        for x, y, z in joints:
            # half a bin away in both directions at the most, with sigma 2
            assert min(maps[0][y, x], maps[1][z, x], maps[2][z, y]) > 0.93
    assert found.maps.min() < 0.5


def test_joints_and_planes_are_drawn_where_they_are(tmp_path):
    """In the crop and in the plane xy beside it the only thing to see is on the left and low."""
    joints = np.tile([0.2, 0.8, 0.5], (1, 21, 1))
    maps = np.zeros((1, 3, 10, 10))
    maps[0, 0, 8, 2] = 1.0
    draw_planes(maps, joints, np.full((1, 8, 8, 3), 255, np.uint8), ["a/b"], 4.5, tmp_path / "a.png", "a")
    image = drawn(tmp_path / "a.png", 300).astype(int)
    from handbench.report.figure import DPI
    from handbench.report.heatmap_planes import GAP_X, LEFT, SIDE, TOP

    for column in (0, 1):
        x, y = (round(v * DPI) for v in (LEFT + column * (SIDE + GAP_X), TOP))
        panel = image[y : y + round(SIDE * DPI), x : x + round(SIDE * DPI)][8:-8, 8:-8]
        seen = np.abs(panel - panel[5, 5]).max(2) > 60
        rows, columns = np.nonzero(seen)
        middle = np.array([columns.mean(), rows.mean()]) / panel.shape[0]
        np.testing.assert_allclose(middle, [0.22, 0.82] if column == 0 else [0.25, 0.85], atol=0.05)


def test_report_heatmaps(handbench, home, trained, truth):
    command = ("report", "heatmaps", "clip-hand3d", "--checkpoint", trained, "--data", truth)
    ran = handbench(*command, "--samples", 2)
    path = home / "pictures/freihand/clip-hand3d-full.tiny-0-heatmaps.png"
    assert (ran.code, ran.out) == (0, f"{path}\n"), ran.err
    drawn(path)
    refused(handbench(*command, "--sample", "freihand/test/0000000x"), 2, "has no sample", "did you mean")
    refused(handbench(*command, "--sample", N), 2, f"'{N}'", f"0 to {N - 1}")
    refused(handbench(*command[:3], "--data", truth), 3, "There is no checkpoint")


def test_a_file_without_truth_has_no_heat_maps(handbench, trained, tmp_path):
    none = stored(tmp_path / "none.h5", some(joints=None, joints_valid=None))
    ran = handbench("report", "heatmaps", "clip-hand3d", "--checkpoint", trained, "--data", none)
    refused(ran, 4, "root depth")


# --- PCK ------------------------------------------------------------------------------------------------------------


def scored(path, noise: float, n: int = N, protocol: str = "freihand", **row):
    joints = hands_in_view(n)
    hands = some(n).replace(joints=joints + np.random.default_rng(1).normal(0, noise, joints.shape))
    predicted = Hands(id=hands.id, joints=hands.joints, meta={**hands.meta, "method": "mine", **row})
    return evaluate(some(n), predicted, protocol, out=path)


def test_the_curve_is_that_of_the_errors(tmp_path):
    result = scored(tmp_path / "a.h5", 0.01)
    (curve,), alignment = read_curves([str(tmp_path / "a.h5")], load("freihand"))
    assert alignment == "procrustes-official"
    errors = result.joint_errors["procrustes-official"]
    at = curves.thresholds(0, 50, 100)
    np.testing.assert_allclose(curve.at, at)
    np.testing.assert_allclose(curve.share, [np.mean(errors <= t) for t in at])
    assert curve.auc == pytest.approx(result.value("auc", "procrustes-official"), abs=1e-12)


def test_where_no_curve_was_stored_it_is_made_of_the_joints_errors(tmp_path):
    """Three errors made by hand: 10 mm, 20 mm, and a joint that is not annotated."""
    result = scored(tmp_path / "a.h5", 0.01)
    errors = np.full((N, 21), np.nan)
    errors[:, 0], errors[0, 1] = 10.0, 20.0
    bare = result.__class__(**{**vars(result), "curves": {}, "joint_errors": {"root": errors}})
    curve = curve_of(bare, load("freihand"), "joints", "root")
    within = dict(zip(curve.at, curve.share, strict=True))
    assert within[0.0] == 0
    assert max(share for t, share in within.items() if t < 10) == 0
    assert {share for t, share in within.items() if 10.0 <= t < 20} == {0.5}
    assert within[50.0] == 1
    _, expected = curves.pck(errors, curve.at)
    np.testing.assert_array_equal(curve.share, expected)
    with pytest.raises(InvalidError, match="no errors of vertices"):
        curve_of(bare, load("freihand"), "vertices", "none")


def test_the_widest_range_of_a_protocol_is_drawn(tmp_path):
    joints = hands_in_view(N)
    ids = np.array([f"rhd/test/{i:05d}" for i in range(N)])
    fields = {"id": ids, "joints_visible": np.ones((N, 21), bool)}
    true = some(**fields)
    true = Hands(**dict(true.arrays()), meta={"dataset": "rhd", "split": "test"})
    evaluate(true, Hands(id=ids, joints=joints + 0.01, meta={}), "rhd", out=tmp_path / "a.h5")
    (curve,), alignment = read_curves([str(tmp_path / "a.h5")], load("rhd"))
    assert alignment == "root-scale"
    assert (curve.at[0], curve.at[-1], len(curve.at)) == (0, 50, 100)
    assert curve.name == "a"


def test_report_pck(handbench, home, tmp_path):
    for row, noise in (("a", 0.004), ("b", 0.02)):
        scored(home / f"results/freihand/{row}.h5", noise)
    ran = handbench("report", "pck", "a", home / "results/freihand/b.h5", "--json", tmp_path / "a.json")
    path = home / "pictures/freihand/pck-joints-procrustes-official.png"
    assert (ran.code, ran.out) == (0, f"{path}\n"), ran.err
    drawn(path)
    record = json.loads((tmp_path / "a.json").read_text())
    first, second = record["rows"]
    assert first["auc"] > second["auc"] > 0
    assert len(first["pck"]) == len(first["threshold_mm"]) == 100
    assert record["alignment"] == "procrustes-official"


def test_refusals_of_pck(handbench, home, tmp_path):
    scored(home / "results/freihand/a.h5", 0.004)
    other = tmp_path / "other.h5"
    scored(other, 0.004, n=N - 1)
    refused(handbench("report", "pck", "a", other), 4, "not comparable", "5 against 4")
    refused(handbench("report", "pck", "aa"), 3, "no result of row 'aa'", "did you mean 'a'", "There is: a.")
    refused(handbench("report", "pck", "a", "--protocol", "ho3d-v2"), 3, "handbench eval --protocol ho3d-v2")
    refused(handbench("report", "pck", home / "results/freihand/a.h5", "--protocol", "hanco"), 4, "under freihand")
    refused(handbench("report", "pck", "a", "--alignment", "procrustes-oficial"), 2, "did you mean")
    refused(handbench("report", "pck", "a", "--space", "vertices"), 4, "no errors of vertices")
    refused(handbench("report", "pck", "a", "--protocol", "hanco", "--space", "vertices"), 2, "no curve of vertices")


def test_what_rows_were_given_stands_in_the_legend_where_it_differs(tmp_path):
    a, b = (scored(tmp_path / f"{name}.h5", 0.01, given=given) for name, given in (("a", ["root"]), ("b", [])))
    write_result(tmp_path / "again.h5", a)
    assert read_result(tmp_path / "again.h5").given == ["root"]
    protocol = load("freihand")
    lines = [curve_of(result, protocol, "joints", "root") for result in (a, b)]
    draw_curves(lines, "joints", "root", tmp_path / "a.png")
    drawn(tmp_path / "a.png")

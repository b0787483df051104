"""From the files of the official scripts to their figures, through the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from handbench.cli import app
from handbench.hands.joints import from_fh21
from handbench.layouts.dexycb_labels import annotated, read_joints
from handbench.layouts.dexycb_tree import split_frames
from handbench.layouts.folder import Folder
from tests.conftest import hands_in_view
from tests.datasets.dexycb_layout import plant, put_label

OPENGL = np.array([1.0, -1.0, -1.0])


def handbench(*arguments: object) -> str:
    done = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["freihand", "freihand_regular46", "freihand_nonmano", "ho3d"])
def test_a_folder_rebuilt_from_what_the_official_script_saw_gives_its_text(golden, tmp_path, name):
    g = golden(name)
    index = g.get("index", slice(None))
    if name == "freihand_regular46":
        g = {**golden("freihand"), "main_scores_txt": g["main_scores_txt"]}
    for key, file in (("gt_xyz", "evaluation_xyz"), ("gt_verts", "evaluation_verts")):
        (tmp_path / f"{file}.json").write_text(json.dumps(g[key][index].tolist()))
    pred = [g["pred_xyz"][index].tolist(), g["pred_verts"][index].tolist()]
    (tmp_path / "pred.json").write_text(json.dumps(pred))
    protocol = "ho3d-v2" if name == "ho3d" else "freihand"
    handbench(
        *("eval", "--protocol", protocol, "--truth", tmp_path, "--pred", tmp_path / "pred.json"),
        *("--scores-txt", tmp_path / "scores.txt"),
    )
    assert (tmp_path / "scores.txt").read_text() == str(g["main_scores_txt"])


def test_ho3d_in_its_own_axes_and_order_without_a_flag(tmp_path):
    """Hands that stand before the camera, written as HO-3D's server took them: nothing looks odd, all is as known."""
    truth = hands_in_view(12)
    pred = truth + np.random.default_rng(0).normal(0, 0.003, truth.shape)
    as_written = [from_fh21(points * OPENGL, "ho3d").tolist() for points in (truth, pred)]
    (tmp_path / "evaluation_xyz.json").write_text(json.dumps(as_written[0]))
    (tmp_path / "pred.json").write_text(json.dumps([as_written[1], []]))
    command = ("eval", "--protocol", "ho3d-v2", "--truth", tmp_path, "--pred", tmp_path / "pred.json", "--json", "-")
    record = json.loads(handbench(*command))
    rows = {(row["metric"], row["alignment"]): row["value"] for row in record["summary"]}
    assert rows["mpjpe", "none"] == pytest.approx(1000 * np.linalg.norm(pred - truth, axis=-1).mean(), abs=1e-9)
    bone = [np.linalg.norm(p[:, 9] - p[:, 0], axis=-1)[:, None, None] for p in (truth, pred)]
    moved = (pred - pred[:, :1]) * bone[0] / bone[1] + truth[:, :1]
    assert rows["mpjpe", "scale-translation"] == pytest.approx(
        1000 * np.linalg.norm(moved - truth, axis=-1).mean(), abs=1e-9
    )
    assert record["suspicions"] == []
    # told otherwise, the detector says what is wrong, with the flag that mends it
    odd = json.loads(handbench(*command, "--order", "fh21"))
    assert "--order ho3d" in " ".join(odd["suspicions"])


def test_dexycb_from_its_root_and_a_result_text(tmp_path):
    root = plant(tmp_path / "DexYCB")
    frames = split_frames(Folder(root, "DexYCB"), "s0-test")
    labels = hands_in_view(len(frames))
    labels[::10] = -1
    for i, one in enumerate(labels):
        put_label(root, frames.label(i), one)
    joints = read_joints(frames)
    valid = annotated(joints)
    rng = np.random.default_rng(0)
    lines = []
    for i in range(len(frames)):
        predicted = joints[i].astype(np.float64) * 1000 + rng.normal(0, 5, (21, 3))
        # frames without a hand may be there: they do not count
        lines.append(f"{i}," + ",".join(f"{value:.4f}" for value in predicted.ravel()))
    (tmp_path / "s0_test.txt").write_text("\n".join(lines) + "\n")
    out = tmp_path / "out.json"
    text = handbench(
        *("eval", "--protocol", "dexycb-s0", "--truth", root, "--pred", tmp_path / "s0_test.txt", "--json", out)
    )
    record = json.loads(out.read_text())
    assert record["n"] == valid.sum() < len(frames)
    predicted = np.array([[float(v) for v in line.split(",")[1:]] for line in lines]).reshape(-1, 21, 3)
    target = (joints * np.float32(1000)).astype(np.float64)
    errors = np.linalg.norm(predicted - target, axis=-1)[valid]
    assert record["official"]["absolute_mpjpe"] == pytest.approx(errors.mean(), abs=1e-6)
    rooted = np.linalg.norm((predicted - predicted[:, :1]) - (target - target[:, :1]), axis=-1)[valid]
    assert record["official"]["root-relative_mpjpe"] == pytest.approx(rooted.mean(), abs=1e-6)
    assert "absolute_mpjpe" in text
    # eight cameras of one take are one capture
    takes = {frames.capture(i) for i in np.flatnonzero(valid).tolist()}
    assert {row["clusters"] for row in record["summary"]} == {len(takes)}
    assert len(takes) < valid.sum() / 4

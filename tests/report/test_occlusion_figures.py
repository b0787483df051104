"""Error and confidence against occlusion, and joint by joint: means, bands, pictures, and what is refused."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from handbench.errors import InvalidError
from handbench.report.bands import band
from handbench.report.occlusion_figures import error_by_occlusion
from handbench.store.hands_file import HandsFile
from handbench.store.hands_writer import write_hands
from tests.evaluation.two_results import made


def test_a_band_is_about_its_mean_and_as_wide_as_captures_differ():
    rng = np.random.default_rng(0)
    captures = np.repeat(np.arange(60), 25)
    values = 10 + rng.normal(0, 2, 60)[captures] + rng.normal(0, 0.1, len(captures))
    found = band(values[:, None], captures)
    alone = band(values[:, None], None)
    assert found.mean[0] == pytest.approx(values.mean())
    assert found.low[0] < values.mean() < found.high[0]
    # 2 mm between captures: 1.96 * 2 / sqrt(60) to either side
    assert (found.high - found.low)[0] / 2 == pytest.approx(0.506, rel=0.3)
    assert (alone.high - alone.low)[0] < 0.5 * (found.high - found.low)[0]
    assert found.words == "95 % bootstrap over 60 captures"


def test_where_nothing_is_there_is_no_mean_and_where_one_capture_is_there_is_no_band():
    values = np.array([[1.0, np.nan, 3.0], [1.0, np.nan, np.nan], [2.0, np.nan, np.nan]])
    found = band(values, np.array(["a", "a", "b"]))
    assert found.mean[0] == pytest.approx(4 / 3)
    assert np.isnan(found.mean[1])
    assert np.isnan(found.low[1:]).all()
    assert found.mean[2] == 3
    assert found.n.tolist() == [3, 0, 1]


def test_errors_fall_into_the_bin_of_their_covered_share():
    covered = np.array([0.0, 0.05, 0.1, 0.999, 1.0, np.nan, 0.55])
    joints = np.repeat(np.arange(7.0)[:, None], 21, 1)
    joints[1, 3:] = np.nan
    line = error_by_occlusion("a", made({}, {"root": joints}, covered=covered), "root")
    assert line.band.n.tolist() == [2, 1, 0, 0, 0, 1, 0, 0, 0, 2]
    assert line.band.mean[[0, 1, 5, 9]].tolist() == [0.5, 2.0, 6.0, 3.5]


def test_a_result_that_knows_no_covered_share_is_refused():
    with pytest.raises(InvalidError, match="a does not know how much of each hand is covered"):
        error_by_occlusion("a", made({}, {"root": np.ones((3, 21))}), "root")


@pytest.fixture
def scored(handbench, home):
    """Two rows on the first two tracks of HandSynth-Video: the more is covered, the worse; the second without
    confidence."""
    assert handbench("prep", "handsynth-video-small", "--split", "test", "--limit", "64").code == 0
    truth = home / "data/handsynth-video-small-test.h5"
    with HandsFile(truth) as file:
        hands = file.read()
        meta = {"dataset": "handsynth-video-small", "split": "test", "given": [], "truth_digest": file.digest()}
        rng = np.random.default_rng(0)
        for row, confidence in (("one-full.tiny-0", hands.visible_fraction), ("two-full-0", None)):
            noise = rng.normal(0, 1, hands.joints.shape) * (0.002 + 0.02 * (1 - hands.visible_fraction))[:, None, None]
            own = hands.replace(
                joints=hands.joints + noise, vertices=None, confidence=confidence,
                meta={**meta, "method": row.split("-")[0], "variant": "full", "size": "tiny", "seed": 0},
            )  # fmt: skip
            path = home / f"predictions/handsynth-video-small/{row}.h5"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_hands(path, own)
            target = home / f"results/handsynth-video-small/{row}.h5"
            target.parent.mkdir(parents=True, exist_ok=True)
            command = ("eval", "--protocol", "handsynth-video-small", "--truth", truth, "--pred", path)
            ran = handbench(*command, "--result", target)
            assert ran.code == 0, ran.err
    return home


def test_the_three_figures_of_any_rows(handbench, scored):
    rows, protocol = ("one-full.tiny-0", "two-full-0"), ("--protocol", "handsynth-video-small")
    for kind, name in (("occlusion", "occlusion-procrustes"), ("joints", "joints-procrustes")):
        ran = handbench("report", kind, *rows, *protocol)
        assert ran.code == 0, ran.err
        image = cv2.imread(str(scored / f"pictures/handsynth-video-small/{name}.png"))
        assert image.std() > 10
        record = json.loads(handbench("report", kind, *rows, *protocol, "--json", "-").out)
        assert [row["row"] for row in record["rows"]] == ["one tiny", "two tiny"]
        assert record["unit"] == "mm"
        assert "captures" in record["rows"][0]["band"]
    errors = json.loads(handbench("report", "occlusion", *rows, *protocol, "--json", "-").out)["rows"][0]
    filled = [mean for mean in errors["mean"] if mean is not None]
    assert sum(errors["n"]) == 64
    assert filled[-1] > 2 * filled[0]
    ran = handbench("report", "confidence", "one-full.tiny-0", *protocol, "--json", "-")
    trust = [mean for mean in json.loads(ran.out)["rows"][0]["mean"] if mean is not None]
    assert trust == sorted(trust, reverse=True)
    assert (scored / "pictures/handsynth-video-small/confidence.png").exists()

    ran = handbench("report", "confidence", "two-full-0", *protocol)
    assert ran.code != 0
    assert "has no confidence" in ran.err
    ran = handbench("report", "occlusion", "one-full.tiny-0", *protocol, "--alignment", "rooot")
    assert ran.code != 0
    assert "root" in ran.err
    ran = handbench("report", "occlusion", "three", *protocol)
    assert ran.code != 0
    assert "There is no result of row 'three'" in ran.err

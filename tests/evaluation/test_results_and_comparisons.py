"""A result survives the disk, and its record is JSON."""

import dataclasses
import json

import h5py
import numpy as np
import pytest

from handbench.errors import InvalidError, MissingError
from handbench.evaluation.protocol import load
from handbench.evaluation.result_file import read_result, write_result
from handbench.evaluation.scoring import evaluate


@pytest.fixture(scope="module")
def truth(make_hands):
    return make_hands(60)


@pytest.fixture(scope="module")
def result(truth, noisy):
    return evaluate(truth, noisy(truth, method="a", variant="main", seed=0, weights={"imagenet": "none"}))


def test_a_figure_is_the_mean_of_its_samples_within_its_interval(result):
    for row in result.summary:
        samples = result.samples[f"{row['metric']}/{row['alignment']}"]
        assert row["value"] == pytest.approx(samples.mean(), rel=1e-12), row
        assert row["interval"][0] <= row["value"] <= row["interval"][1]
        assert row["n"] == result.n == 60
    assert result.value("mpjpe", "procrustes") < result.value("mpjpe", "root")
    assert result.joint_errors["none"].shape == (60, 21)


def test_samples_recorded_together_widen_the_interval(truth, noisy):
    captures = np.arange(60) // 10
    together = truth.replace(capture=np.array([f"take {c}" for c in captures]))
    predicted = noisy(truth, 0.5)
    predicted.joints[:] += (captures * 0.004)[:, None, None]
    rows = [evaluate(t, predicted).summary[0] for t in (truth, together)]
    naive, honest = (np.diff(row["interval"])[0] for row in rows)
    assert honest > 1.3 * naive
    assert "6 captures" in rows[1]["method"]


def test_the_record_is_plain_json(result):
    record = result.to_record()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert set(record) >= {"protocol", "n", "official", "summary", "per_bucket", "reflected", "given", "warnings"}
    assert record["protocol"]["name"] == "freihand"
    assert record["protocol"]["n_official"] == 3960
    assert record["row"] == {"method": "a", "variant": "main", "seed": 0, "weights": {"imagenet": "none"}}
    assert record["provenance"]["truth"]["digest"]


def test_it_comes_back_from_disk(result, tmp_path):
    write_result(tmp_path / "new" / "r.h5", result)
    again = read_result(tmp_path / "new" / "r.h5")
    assert again.to_record() == result.to_record()
    np.testing.assert_array_equal(again.ids, result.ids)
    np.testing.assert_array_equal(again.reflected, result.reflected)
    for table in ("samples", "joint_errors", "curves"):
        ours, theirs = getattr(result, table), getattr(again, table)
        assert set(ours) == set(theirs)
        for name in ours:
            np.testing.assert_array_equal(ours[name], theirs[name])


def test_a_figure_that_does_not_exist_comes_back_as_nan(truth, noisy, tmp_path):
    one = evaluate(truth.take(slice(0, 1)), noisy(truth).take(slice(0, 1)))
    assert np.isnan(one.summary[0]["interval"]).all()
    assert one.to_record()["summary"][0]["interval"] == [None, None]
    write_result(tmp_path / "r.h5", one)
    again = read_result(tmp_path / "r.h5").summary[0]
    assert np.isnan(again["interval"]).all()
    assert again["value"] == one.summary[0]["value"]


def test_the_truth_is_told_apart_by_its_content(truth, noisy, result):
    renamed = truth.replace(id=np.char.add(truth.id, "x"))
    moved = truth.replace(joints=truth.joints + 1e-9)
    digests = [evaluate(t, noisy(t)).provenance["truth"]["digest"] for t in (truth, renamed, moved)]
    assert len(set(digests)) == 3
    assert digests[0] == result.provenance["truth"]["digest"]


def test_a_large_record_fits(result, tmp_path):
    big = dataclasses.replace(result, warnings=["x" * 1000] * 200)
    write_result(tmp_path / "r.h5", big)
    assert read_result(tmp_path / "r.h5").warnings == big.warnings


def test_a_write_that_fails_leaves_the_old_file(result, tmp_path):
    path = tmp_path / "r.h5"
    write_result(path, result)
    before = path.read_bytes()
    with pytest.raises((TypeError, AttributeError, ValueError)):
        write_result(path, dataclasses.replace(result, reflected={"no": "array"}))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["r.h5"]


def test_what_is_no_result_is_refused(tmp_path):
    with pytest.raises(MissingError):
        read_result(tmp_path / "none.h5")
    (tmp_path / "r.h5").write_bytes(b"something else")
    with pytest.raises(InvalidError, match="damaged"):
        read_result(tmp_path / "r.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(InvalidError, match="not a result of this version"):
        read_result(tmp_path / "other.h5")


def test_the_same_input_gives_the_same_record(truth, noisy):
    records = [evaluate(truth, noisy(truth), workers=w).to_record() for w in (1, 3)]
    for record in records:
        record["provenance"].pop("time")
    assert records[0] == records[1]


def test_a_protocol_in_millimetres_computes_there(truth, noisy, result):
    """The official alignment's epsilon is in the unit of the protocol; everything else only scales."""
    found = evaluate(truth, noisy(truth), load("freihand").model_copy(update={"unit": "mm"}))
    for row, same in zip(found.summary, result.summary, strict=True):
        assert row["value"] == pytest.approx(same["value"], rel=1e-6), row


def test_a_result_of_another_version_is_refused_and_scored_anew(make_hands, noisy, tmp_path):
    truth = make_hands(4)
    write_result(tmp_path / "a.h5", evaluate(truth, noisy(truth)))
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        record = json.loads(file.attrs["record"])
        del record["suspicions"]
        file.attrs["record"] = json.dumps(record)
    with pytest.raises(InvalidError, match="another version"):
        read_result(tmp_path / "a.h5")

"""What others' files are named, how their lines end, what stands before the numbers."""

import json

import numpy as np
import pytest

from handbench.errors import InvalidError
from handbench.evaluation.importing import read_as, read_predictions
from handbench.evaluation.protocol import Conventions
from tests.evaluation.test_prediction_files import DEXYCB, IDS, csv_lines, dexycb_lines, refused, save


@pytest.fixture
def joints(make_hands):
    return make_hands(6).joints


def hint_of(path, match, ids=IDS):
    with pytest.raises(InvalidError, match=match) as caught:
        read_predictions(path, ids)
    return caught.value.hint


class TestContentBeforeName:
    def test_json_by_any_name(self, joints, tmp_path):
        for name in ("pred.h5", "pred.npz", "pred.zip", "pred.csv", "pred"):
            (tmp_path / name).write_text("\n " + json.dumps([joints.tolist(), []]))
            found = read_predictions(tmp_path / name, IDS)
            np.testing.assert_array_equal(found.joints, joints)
            assert found.meta["imported_as"]["format"] == "JSON"

    def test_an_archive_named_h5(self, joints, tmp_path):
        np.savez(tmp_path / "pred.npz", joints=joints)
        (tmp_path / "pred.npz").rename(tmp_path / "pred.h5")
        np.testing.assert_array_equal(read_predictions(tmp_path / "pred.h5", IDS).joints, joints)

    def test_text_named_h5_is_not_to_be_deleted(self, tmp_path):
        hint = hint_of(save(tmp_path / "pred.h5", ["hello"]), "it is no HDF5 file")
        assert "elete" not in hint


class TestNumbers:
    @pytest.mark.parametrize("kind", [np.int16, np.int64, np.uint16])
    def test_whole_millimetres_of_an_npz(self, joints, tmp_path, kind):
        whole = np.abs(1000 * joints).round().astype(kind)
        np.savez(tmp_path / "pred.npz", joints=whole, vertices=whole)
        for unit, per_metre in (("m", 1), ("mm", 1000)):
            found = read_predictions(tmp_path / "pred.npz", IDS, unit=unit)
            for points in (found.joints, found.vertices):
                assert points.dtype == np.float64
                np.testing.assert_allclose(points, whole / per_metre, rtol=1e-15)

    def test_whole_numbers_of_a_json_may_be_long_and_not_beyond_float64(self, joints, tmp_path):
        lists = [joints.tolist(), []]
        lists[0][2][3][1] = 10**30
        (tmp_path / "pred.json").write_text(json.dumps(lists))
        assert read_predictions(tmp_path / "pred.json", IDS).joints[2, 3, 1] == 1e30
        lists[0][2][3][1] = 10**400
        (tmp_path / "pred.json").write_text(json.dumps(lists))
        refused(tmp_path / "pred.json", r"Sample 2 \(.*00000017\) of pred.json has NaN or infinity in its joints")

    def test_only_white_space(self, tmp_path):
        (tmp_path / "pred.json").write_text(" \n ")
        refused(tmp_path / "pred.json", "pred.json is empty")

    def test_digits_of_other_scripts_are_no_ids(self, joints, tmp_path):
        # Arabic-Indic 3
        names = ["\u0663", *NUMBERS_BUT_ONE]
        refused(save(tmp_path / "pred.csv", csv_lines(joints, names)), "1 of 6 samples have no prediction")
        path = save(tmp_path / "pred.csv", csv_lines(joints, names))
        with pytest.raises(InvalidError, match="is no sample of dexycb-s0"):
            read_predictions(path, "dexycb-s0")
        refused(save(tmp_path / "pred.txt", dexycb_lines(joints, names)), r"Line 1 of pred.txt is no .*'\u0663'")
        lines = dexycb_lines(joints)
        lines[1] = lines[1].rpartition(",")[0] + ",\u0661"
        refused(save(tmp_path / "pred.txt", lines), "z20 is '\u0661', no number")

    def test_a_number_longer_than_any_is_no_id(self, joints, tmp_path):
        lines = csv_lines(joints, ["9" * 5000, *NUMBERS_BUT_ONE])
        refused(save(tmp_path / "pred.csv", lines), "1 of 6 samples have no prediction")


NUMBERS_BUT_ONE = [4, 17, 20, 21, 305]


class TestLines:
    @pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
    def test_every_end_of_line(self, joints, tmp_path, end):
        found = read_predictions(save(tmp_path / "pred.csv", csv_lines(joints, IDS), end), IDS)
        np.testing.assert_array_equal(found.joints, joints)
        found = read_predictions(save(tmp_path / "pred.txt", dexycb_lines(joints), end), IDS, written=DEXYCB)
        np.testing.assert_allclose(found.joints, joints, rtol=1e-15)
        lines = dexycb_lines(joints)
        refused(save(tmp_path / "pred.txt", [*lines, lines[0]], end), r"3 \(line 1 and line 7\)")

    def test_the_column_of_ids_may_be_called_image_id(self, joints, tmp_path):
        lines = csv_lines(joints, IDS)
        lines[0] = "image_" + lines[0]
        found = read_predictions(save(tmp_path / "pred.csv", lines), IDS[::-1])
        np.testing.assert_array_equal(found.joints, joints[::-1])

    def test_a_header_of_ids_alone(self, tmp_path):
        refused(save(tmp_path / "pred.csv", ["id", "3"]), "has no column 'x0'")

    @pytest.mark.parametrize("line", ["# my results", "image_id,joints", "# a,b", "frame;x;y"])
    def test_a_comment_or_a_header_in_dexycb_text(self, joints, tmp_path, line):
        lines = dexycb_lines(joints)
        begins = line.partition(",")[0].partition(";")[0]
        for path in (
            save(tmp_path / "first.txt", [line, *lines]),
            save(tmp_path / "later.txt", [*lines[:2], line, *lines[2:]]),
        ):
            hint = hint_of(path, rf"Line {1 if path.stem == 'first' else 3} of .*'{begins}")
            assert hint.startswith("DexYCB text has no header line and no comments: remove them.")


class TestLinesOfFramesThatDoNotCount:
    def test_one_and_several_are_counted_and_their_layout_is_that_of_all(self, joints, tmp_path):
        lines = dexycb_lines(joints)
        nan = "7," + ",".join(["nan"] * 63)
        for extra, said in (([nan], "; 1 line is of a frame that does"), ([nan, nan], "; 2 lines are of frames that")):
            found = read_predictions(save(tmp_path / "pred.txt", [*extra, *lines]), IDS, written=DEXYCB)
            np.testing.assert_allclose(found.joints, joints, rtol=1e-15)
            assert said in read_as(found.meta)
        # the official script stops there, whichever frame it is
        refused(save(tmp_path / "pred.txt", [*lines, "7,1,2"]), r"Line 7 \(sample 7\) of pred.txt has 3 fields")

    def test_twice_and_nan_of_a_frame_that_counts(self, joints, tmp_path):
        lines = dexycb_lines(joints)
        nan = "7," + ",".join(["nan"] * 63)
        refused(save(tmp_path / "pred.txt", [nan, nan, *lines, lines[1]]), r"1 id is .*: 4 \(line 4 and line 9\)")
        lines[1] = "4," + ",".join(["nan"] * 63)
        refused(save(tmp_path / "pred.txt", [nan, nan, *lines]), r"Line 4 \(sample 4\) of pred.txt has NaN or infinity")
        # without the truth every line counts
        with pytest.raises(InvalidError, match="more than once"):
            read_predictions(save(tmp_path / "pred.txt", [nan, nan]), "dexycb-s0", written=Conventions(unit="mm"))

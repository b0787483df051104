"""Others' files: read exactly, converted only when told, refused in words with the sample named."""

import json
import zipfile

import numpy as np
import pytest

from handbench.errors import InvalidError, MissingError, UsageError
from handbench.evaluation import archive
from handbench.evaluation.importing import read_predictions
from handbench.evaluation.truth import read_truth
from handbench.hands.joints import from_fh21
from handbench.store.hands_writer import write_hands

IDS = [f"freihand/test/{i:08d}" for i in range(6)]


@pytest.fixture
def lists(make_hands):
    hands = make_hands(6)
    return [hands.joints.tolist(), hands.vertices.tolist()]


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_numbers_arrive_as_they_were_written(lists, make_hands, tmp_path):
    found = read_predictions(write(tmp_path / "pred.json", lists), IDS)
    np.testing.assert_array_equal(found.joints, make_hands(6).joints)
    np.testing.assert_array_equal(found.vertices, make_hands(6).vertices)
    assert list(found.id) == IDS
    assert found.meta["method"] == "pred"
    assert found.meta["made"]["read_from"] == "pred.json"


def test_whole_numbers_and_white_space_are_numbers_and_white_space(lists, tmp_path):
    lists[0][2] = [[0, 1, 2]] * 21
    found = read_predictions(write(tmp_path / "pred.json", json.dumps(lists, indent=1)), IDS)
    np.testing.assert_array_equal(found.joints[2], [[0.0, 1.0, 2.0]] * 21)


def test_an_empty_list_of_vertices_means_none(lists, tmp_path):
    assert read_predictions(write(tmp_path / "pred.json", [lists[0], []]), IDS).vertices is None


def test_a_hands_file(make_hands, tmp_path):
    write_hands(tmp_path / "pred.h5", make_hands(6, given=["root"]))
    found = read_predictions(tmp_path / "pred.h5", IDS, meta={"method": "mine"})
    np.testing.assert_array_equal(found.joints, make_hands(6).joints)
    assert found.meta["given"] == ["root"]
    assert found.meta["method"] == "mine"


def test_conversions_only_when_told(lists, make_hands, tmp_path):
    hands = make_hands(6)
    odd = from_fh21(hands.joints * [1000.0, -1000, -1000], "ho3d")
    mesh = hands.vertices * [1000.0, -1000, -1000]
    path = write(tmp_path / "pred.json", [odd.tolist(), mesh.tolist()])
    np.testing.assert_array_equal(read_predictions(path, IDS).joints, odd)
    found = read_predictions(path, IDS, order="ho3d", axes="opengl", unit="mm")
    np.testing.assert_allclose(found.joints, hands.joints, rtol=1e-15)
    np.testing.assert_allclose(found.vertices, hands.vertices, rtol=1e-15)
    told = {"order": "ho3d", "axes": "opengl", "unit": "mm"}
    assert found.meta["imported_as"] == {"format": "JSON", **told, "told": ["order", "axes", "unit"]}
    for wrong in ({"order": "h03d"}, {"axes": "gl"}, {"unit": "inch"}):
        with pytest.raises(UsageError, match="Unknown"):
            read_predictions(path, IDS, **wrong)


def refused(path, match, ids=IDS):
    with pytest.raises(InvalidError, match=match) as caught:
        read_predictions(path, ids)
    assert caught.value.exit_code == 4


def test_one_sample_short_of_freihand(lists, tmp_path):
    joints = lists[0][:1] * 3959
    path = write(tmp_path / "pred.json", [joints, []])
    refused(path, r"3,959 samples, 3,960 are expected: freihand/test/00003959 is not there", "freihand")


def test_too_many_and_meshes_that_are_short(lists, tmp_path):
    refused(write(tmp_path / "a.json", lists), "joints of 6 samples, 5 are expected: entry 5 is no sample's", IDS[:5])
    absent = r"vertices of 4 .*freihand/test/00000004, freihand/test/00000005 are not there"
    refused(write(tmp_path / "b.json", [lists[0], lists[1][:4]]), absent)


def test_cut_short(lists, tmp_path):
    text = json.dumps(lists)
    for end in (len(text) - 1, len(text) // 2, 10, 1, 0):
        refused(write(tmp_path / "pred.json", text[:end]), "pred.json is (not valid JSON|empty)")


@pytest.mark.parametrize("content", ["{}", "3", '"x"', "[]", "[[]]", "[[], [], []]", "[1, 2]", "[null, null]", "\x00"])
def test_something_else(content, tmp_path):
    refused(write(tmp_path / "pred.json", content), "does not hold a list|not a list of two|not valid JSON|0 samples")


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "pred.json").write_bytes(b"\xff\xfe[[1]]")
    refused(tmp_path / "pred.json", "not valid JSON")
    (tmp_path / "pred.json").write_bytes(b"[" * 100_000)
    refused(tmp_path / "pred.json", "not valid JSON")


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("which", [0, 1])
def test_nan_is_named(lists, tmp_path, word, which):
    lists[which][3][5][1] = "X"
    path = write(tmp_path / "pred.json", json.dumps(lists).replace('"X"', word))
    refused(path, rf"Sample 3 \(freihand/test/00000003\) .* in its {('joints', 'vertices')[which]}")


@pytest.mark.parametrize("wrong", [None, "0.1", True, {}, [0.1]])
@pytest.mark.parametrize("which", [0, 1])
def test_what_is_no_number_is_named(lists, tmp_path, wrong, which):
    lists[which][3][5][1] = wrong
    refused(write(tmp_path / "pred.json", lists), r"Sample 3 \(freihand/test/00000003\)")


def test_wrong_nesting_is_named_even_where_the_count_is_right(lists, tmp_path):
    """Two coordinates in one point and four in the next: as many numbers as there should be."""
    for which in (0, 1):
        broken = json.loads(json.dumps(lists))
        broken[which][4][7].append(broken[which][4][6].pop())
        refused(write(tmp_path / "pred.json", broken), r"Sample 4 \(freihand/test/00000004\)")
    shifted = json.loads(json.dumps(lists))
    shifted[0][2].append(shifted[0][1].pop())
    refused(write(tmp_path / "pred.json", shifted), r"Sample 1 .* are 20x3, not 21x3")


def test_meshes_of_different_sizes_are_named(lists, tmp_path):
    lists[1][5] = lists[1][5][:-1]
    refused(write(tmp_path / "pred.json", lists), r"Sample 5 .* vertices are 59x3, not 60x3")


def test_transposed_lists(lists, tmp_path):
    refused(write(tmp_path / "pred.json", [[j, v] for j, v in zip(*lists, strict=True)]), "not a list of two lists")


def test_there_is_no_file(tmp_path):
    with pytest.raises(MissingError, match="no predictions at") as caught:
        read_predictions(tmp_path / "pred.json", IDS)
    assert caught.value.exit_code == 3
    refused(tmp_path, "is a folder")


class TestZip:
    def pack(self, tmp_path, members):
        with zipfile.ZipFile(tmp_path / "pred.zip", "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in members.items():
                file.writestr(name, content)
        return tmp_path / "pred.zip"

    def test_pred_json_is_taken_else_the_only_one(self, lists, make_hands, tmp_path):
        good, other = json.dumps(lists), json.dumps([lists[0][::-1], []])
        for members in (
            {"pred.json": good, "other.json": other},
            {"mine/result.json": good, "readme.txt": "hello", "__MACOSX/mine/._result.json": "x"},
        ):
            found = read_predictions(self.pack(tmp_path, members), IDS)
            np.testing.assert_array_equal(found.joints, make_hands(6).joints)

    def test_none_and_several(self, lists, tmp_path):
        refused(self.pack(tmp_path, {"readme.txt": "hello"}), "has no .json file")
        refused(self.pack(tmp_path, {"a.json": "[]", "b.json": "[]"}), r"has 2 .json files \(a.json, b.json\)")

    @pytest.mark.parametrize("name", ["../pred.json", "/pred.json", "a/../../x.json", "..\\pred.json", "C:\\pred.json"])
    def test_names_that_lead_out(self, lists, tmp_path, name):
        refused(self.pack(tmp_path, {"pred.json": json.dumps(lists), name: "[]"}), "leads out of the archive")

    def test_bombs(self, lists, tmp_path, monkeypatch):
        path = self.pack(tmp_path, {"pred.json": json.dumps(lists)})
        size = len(json.dumps(lists))
        monkeypatch.setattr(archive, "MAX_BYTES", size - 1)
        refused(path, "unpacks to")
        monkeypatch.setattr(archive, "MAX_BYTES", size)
        assert len(read_predictions(path, IDS)) == 6
        dense = self.pack(tmp_path, {"pred.json": "[" + "0," * 200_000 + "0]"})
        monkeypatch.setattr(archive, "MAX_BYTES", 1 << 30)
        monkeypatch.setattr(archive, "RATIO_FROM_BYTES", 100_000)
        refused(dense, "unpacks to 400,003 bytes")

    def test_zeros_compress_well_and_are_no_bomb(self, tmp_path):
        zeros = [np.zeros((6, 21, 3)).tolist(), np.zeros((6, 778, 3)).tolist()]
        found = read_predictions(self.pack(tmp_path, {"pred.json": json.dumps(zeros)}), IDS)
        assert not found.vertices.any()

    def test_damaged(self, lists, tmp_path):
        path = self.pack(tmp_path, {"pred.json": json.dumps(lists)})
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        refused(path, "cannot be read as a zip archive")
        path.write_bytes(data[:200] + bytes(100) + data[300:])
        refused(path, "cannot be read as a zip archive")


class TestTruthFolder:
    def test_with_and_without_vertices(self, make_hands, tmp_path):
        hands = make_hands(6)
        write(tmp_path / "evaluation_xyz.json", hands.joints.tolist())
        found = read_truth(tmp_path, "freihand")
        np.testing.assert_array_equal(found.joints, hands.joints)
        assert list(found.id) == IDS
        assert found.vertices is None
        assert found.meta["partial"] is True
        write(tmp_path / "evaluation_verts.json", np.zeros((6, 778, 3)).tolist())
        assert read_truth(tmp_path, "freihand").vertices.shape == (6, 778, 3)
        write(tmp_path / "evaluation_verts.json", np.zeros((5, 778, 3)).tolist())
        with pytest.raises(InvalidError, match=r"5 entries .* 6"):
            read_truth(tmp_path, "freihand")

    def test_nothing_there(self, tmp_path):
        with pytest.raises(MissingError):
            read_truth(tmp_path, "freihand")
        with pytest.raises(MissingError):
            read_truth(tmp_path / "none", "freihand")
        with pytest.raises(UsageError, match="prepared file"):
            read_truth(tmp_path, "ge-realworld")

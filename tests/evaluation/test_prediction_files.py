"""Every kind of file that predictions come in: matched by id or number, read as its format says, refused in words."""

import json
import stat
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handbench.errors import HandbenchError, InvalidError, MissingError, UsageError
from handbench.evaluation import prediction_json
from handbench.evaluation.importing import assumed, read_as, read_predictions
from handbench.evaluation.prediction_json import read_json
from handbench.evaluation.protocol import Conventions, load
from handbench.evaluation.suspicions import suspect
from handbench.hands.joints import from_fh21
from handbench.hands.record import Hands
from handbench.store import json_arrays
from handbench.store.hands_writer import write_hands
from handbench.store.json_arrays import read_array

COLUMNS = [f"{axis}{joint}" for joint in range(21) for axis in "xyz"]
HO3D, DEXYCB = load("ho3d-v3").written, load("dexycb-s0").written
# image ids have gaps: frames without a hand
NUMBERS = [3, 4, 17, 20, 21, 305]
IDS = [f"dexycb/s0-test/{i:08d}" for i in NUMBERS]


@pytest.fixture
def joints(make_hands):
    return make_hands(6).joints


def dexycb_lines(joints, numbers=NUMBERS):
    return [
        ",".join(map(str, [i, *row])) for i, row in zip(numbers, (1000 * joints).reshape(-1, 63).tolist(), strict=True)
    ]


def csv_lines(joints, names=None, delimiter=","):
    rows = joints.reshape(-1, 63).tolist()
    rows = rows if names is None else [[name, *row] for name, row in zip(names, rows, strict=True)]
    header = COLUMNS if names is None else ["id", *COLUMNS]
    return [delimiter.join(map(str, row)) for row in [header, *rows]]


def save(path, lines, end="\n"):
    path.write_bytes((end.join(lines) + end).encode())
    return path


def refused(path, match, ids=IDS, **said):
    with pytest.raises(InvalidError, match=match) as caught:
        read_predictions(path, ids, **said)
    assert caught.value.exit_code == 4
    assert caught.value.hint
    assert "\n" not in caught.value.message


class TestDexYCB:
    def test_lines_in_millimetres_are_matched_by_image_id(self, joints, tmp_path):
        lines = dexycb_lines(joints)
        found = read_predictions(save(tmp_path / "pred.txt", lines[::-1]), IDS, written=DEXYCB)
        np.testing.assert_allclose(found.joints, joints, rtol=1e-15)
        assert list(found.id) == IDS
        assert read_as(found.meta) == "read as: FH21 order, OpenCV axes, millimetres (the official layout)"

    def test_frames_without_a_hand_are_passed_over_and_counted(self, joints, tmp_path):
        lines = dexycb_lines(joints)
        extra = [line.replace(f"{NUMBERS[0]},", f"{i},", 1) for i, line in ((5, lines[0]), (6, lines[0]))]
        found = read_predictions(save(tmp_path / "pred.txt", [*extra, *lines]), IDS, written=DEXYCB)
        np.testing.assert_allclose(found.joints, joints, rtol=1e-15)
        assert read_as(found.meta).endswith("; 2 lines are of frames that do not count")

    def test_a_frame_without_a_line_is_named(self, joints, tmp_path):
        path = save(tmp_path / "pred.txt", dexycb_lines(joints)[:4])
        refused(path, r"2 of 6 samples have no prediction in pred.txt: dexycb/s0-test/00000021, .*00000305\.")

    def test_a_frame_with_two_lines_is_named_with_both(self, joints, tmp_path):
        lines = dexycb_lines(joints)
        path = save(tmp_path / "pred.txt", [*lines, lines[2].replace("17", "0017", 1)])
        refused(path, r"1 id is more than once in pred.txt: 17 \(line 3 and line 7\)")

    def test_without_the_truth_every_line_is_a_sample(self, joints, tmp_path):
        found = read_predictions(save(tmp_path / "pred.txt", dexycb_lines(joints)), "dexycb-s0", written=DEXYCB)
        assert list(found.id) == IDS

    def test_how_others_write_numbers_and_lines(self, joints, tmp_path):
        lines = [line.replace(",", ", +").replace("+-", "-") for line in dexycb_lines(joints)]
        lines[1] = lines[1].replace(f"{NUMBERS[1]},", f"{NUMBERS[1]:08d},", 1)
        found = read_predictions(save(tmp_path / "pred.txt", ["", *lines, "", " "], "\r\n"), IDS, written=DEXYCB)
        np.testing.assert_allclose(found.joints, joints, rtol=1e-15)

    @pytest.mark.parametrize("word", ["nan", "inf", "-Infinity", "1e999"])
    def test_nan_is_named_with_its_line(self, joints, tmp_path, word):
        lines = dexycb_lines(joints)
        lines[3] = ",".join([*lines[3].split(",")[:-1], word])
        refused(save(tmp_path / "pred.txt", lines), r"Line 4 \(sample 20\) of pred.txt has NaN or infinity")

    @pytest.mark.parametrize(
        ("change", "match"),
        [
            (lambda line: line + ",1", r"Line 3 \(sample 17\) of pred.txt has 65 fields, not 64"),
            (lambda line: line.rpartition(",")[0], r"Line 3 .* has 63 fields, not 64"),
            (lambda line: line.rpartition(",")[0] + ",x", r"Line 3 .*: z20 is 'x', no number"),
            (lambda line: line.rpartition(",")[0] + ",", r"Line 3 .*: z20 is '', no number"),
            (lambda line: line.rpartition(",")[0] + ",[1", r"Line 3 .*: z20 is '\[1', no number"),
            (lambda line: line.rpartition(",")[0] + ",1_0", r"Line 3 .*: z20 is '1_0', no number"),
            (lambda line: "a" + line, r"Line 3 of pred.txt: 'a17' is no image id"),
            (lambda line: "-" + line, r"Line 3 of pred.txt: '-17' is no image id"),
        ],
    )
    def test_a_damaged_line_is_named(self, joints, tmp_path, change, match):
        lines = dexycb_lines(joints)
        lines[2] = change(lines[2])
        refused(save(tmp_path / "pred.txt", lines), match)

    def test_two_lines_that_make_up_for_each_other_are_found(self, joints, tmp_path):
        lines = dexycb_lines(joints)
        lines[1], moved = lines[1].rsplit(",", 1)
        lines[2] += "," + moved
        refused(save(tmp_path / "pred.txt", lines), r"Line 2 .* has 63 fields")


class TestCsv:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    @pytest.mark.parametrize("mark", ["", "\ufeff"])
    @pytest.mark.parametrize("names", [IDS, NUMBERS, None])
    def test_with_ids_with_numbers_and_without(self, joints, tmp_path, delimiter, mark, names):
        lines = csv_lines(joints, names, delimiter)
        lines = lines if names is None else [lines[0], *lines[:0:-1]]
        found = read_predictions(save(tmp_path / "pred.csv", [mark + lines[0], *lines[1:]]), IDS, written=HO3D)
        np.testing.assert_array_equal(found.joints, joints)
        assert list(found.id) == IDS
        assert read_as(found.meta).startswith("read as: FH21 order, OpenCV axes, metres (handbench's own")

    def test_fields_in_quotes(self, joints, tmp_path):
        lines = [",".join(f'"{field}"' for field in line.split(",")) for line in csv_lines(joints, IDS)]
        found = read_predictions(save(tmp_path / "pred.csv", lines), IDS)
        np.testing.assert_array_equal(found.joints, joints)

    def test_without_ids_the_count_must_be_right(self, joints, tmp_path):
        path = save(tmp_path / "pred.csv", csv_lines(joints[:5]))
        refused(path, r"pred.csv has 5 samples, 6 are expected: dexycb/s0-test/00000305 is not there")
        with pytest.raises(UsageError, match="no official list"):
            read_predictions(path, "dexycb-s0")

    def test_an_unknown_id_is_named_with_its_line(self, joints, tmp_path):
        lines = csv_lines(np.r_[joints, joints[:1]], [*IDS, "dexycb/s0-test/00000099"])
        refused(save(tmp_path / "pred.csv", lines), r"1 id in pred.csv is no sample: .*00000099 \(line 8\)")

    @pytest.mark.parametrize(
        ("change", "match"),
        [
            (lambda names: [*names[:-1], "confidence"], "has no column 'z20'"),
            (lambda names: [*names, "confidence"], "has an unknown column 'confidence'"),
            (lambda names: [*names, "x0"], "has the column 'x0' twice"),
            (lambda names: [names[0], names[2], names[1], *names[3:]], "has the column 'y0' where 'x0' belongs"),
            (lambda names: ["a", "b"], "has no header line: it begins with 'a'"),
        ],
    )
    def test_another_header(self, joints, tmp_path, change, match):
        lines = csv_lines(joints, IDS)
        refused(save(tmp_path / "pred.csv", [",".join(change(lines[0].split(","))), *lines[1:]]), match)

    def test_a_header_alone_and_none(self, joints, tmp_path):
        lines = csv_lines(joints, IDS)
        refused(save(tmp_path / "pred.csv", lines[:1]), "has a header and no lines")
        refused(save(tmp_path / "pred.csv", lines[1:]), "has no header line: it begins with 'dexycb/s0-test/00000003'")
        # without ids, and so not to be told from DexYCB's
        refused(save(tmp_path / "pred.csv", csv_lines(joints)[1:]), "Line 1 .* has 63 fields, not 64")

    def test_a_decimal_comma_is_recognised(self, joints, tmp_path):
        lines = csv_lines(joints, IDS, ";")
        path = save(tmp_path / "pred.csv", [lines[0], *(line.replace(".", ",") for line in lines[1:])])
        with pytest.raises(
            InvalidError, match=r"Line 2 \(sample dexycb/s0-test/00000003\).*: x0 is '.*,.*', no number"
        ) as e:
            read_predictions(path, IDS)
        assert "decimal point" in e.value.hint

    def test_numbers_that_several_samples_share_are_no_ids(self, joints, tmp_path):
        ids = ["a/0", "a/1", "b/0", "b/1"]
        refused(save(tmp_path / "pred.csv", csv_lines(joints[:2], [0, 1])), "several samples have the same number", ids)

    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(values=st.lists(st.floats(-1e6, 1e6), min_size=63, max_size=63))
    def test_any_numbers_arrive_bit_for_bit(self, tmp_path, values):
        points = np.array(values).reshape(1, 21, 3)
        found = read_predictions(save(tmp_path / "pred.csv", csv_lines(points, ["a/1"])), ["a/1"])
        np.testing.assert_array_equal(found.joints, points)


class TestNpz:
    def test_with_and_without_ids(self, make_hands, tmp_path):
        hands = make_hands(6)
        path = tmp_path / "pred.npz"
        turned = {"joints": hands.joints[::-1], "vertices": hands.vertices[::-1]}
        for names in (IDS[::-1], [name.encode() for name in IDS[::-1]], NUMBERS[::-1]):
            np.savez(path, **turned, id=names)
            found = read_predictions(path, IDS, written=HO3D)
            np.testing.assert_array_equal(found.joints, hands.joints)
            np.testing.assert_array_equal(found.vertices, hands.vertices)
            assert list(found.id) == IDS
        np.savez_compressed(path, joints=hands.joints.astype(np.float32))
        found = read_predictions(path, IDS)
        assert found.joints.dtype == np.float32
        assert found.vertices is None

    def test_read_by_content_where_the_name_says_nothing(self, joints, tmp_path):
        np.savez(tmp_path / "pred.npz", joints=joints)
        (tmp_path / "pred.npz").rename(tmp_path / "pred.zip")
        np.testing.assert_array_equal(read_predictions(tmp_path / "pred.zip", IDS).joints, joints)

    def test_bad_arrays(self, joints, tmp_path):
        path = tmp_path / "pred.npz"
        ragged = np.empty(6, object)
        bad = joints.copy()
        bad[3, 5, 1] = np.nan
        for arrays, match in (
            ({"xyz": joints}, "has no array 'joints'; it has: xyz"),
            ({"joints": joints[:, :20]}, "joints of pred.npz are 6x20x3 float64, not Nx21x3"),
            ({"joints": joints.astype(str)}, "joints of pred.npz are 6x21x3 <U32"),
            ({"joints": ragged}, "holds Python objects, which are never unpickled"),
            ({"joints": joints, "vertices": joints[:4]}, "joints of 6 samples and vertices of 4"),
            ({"joints": joints, "id": IDS[:4]}, r"id of pred.npz is \(4,\)"),
            ({"joints": joints, "id": [*IDS[:5], IDS[0]]}, r"1 id is more than once .* \(entry 0 and entry 5\)"),
            ({"joints": joints, "id": [*IDS[:5], "x"]}, "1 of 6 samples have no prediction"),
            ({"joints": bad}, r"Sample 3 \(dexycb/s0-test/00000020\) .* NaN or infinity in its joints"),
            ({"joints": joints[:4]}, "pred.npz has 4 samples, 6 are expected"),
        ):
            np.savez(path, **arrays)
            refused(path, match)

    def test_damaged(self, joints, tmp_path):
        path = tmp_path / "pred.npz"
        np.savez(path, joints=joints)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        refused(path, "cannot be read as .npz")
        path.write_bytes(b"no archive")
        refused(path, "cannot be read as .npz")


class TestOfficialFiles:
    def test_a_pred_json_of_ho3d_is_read_as_ho3d_writes_it(self, make_hands, tmp_path):
        hands = make_hands(6)
        lists = [from_fh21(hands.joints * [1, -1, -1], "ho3d").tolist(), (hands.vertices * [1, -1, -1]).tolist()]
        path = tmp_path / "pred.json"
        path.write_text(json.dumps(lists))
        found = read_predictions(path, IDS, written=HO3D)
        np.testing.assert_array_equal(found.joints, hands.joints)
        np.testing.assert_array_equal(found.vertices, hands.vertices)
        assert assumed(found.meta) == HO3D
        assert read_as(found.meta) == "read as: HO-3D order, OpenGL axes, metres (the official layout)"
        found = read_predictions(path, IDS, written=HO3D, axes="opencv")
        np.testing.assert_array_equal(found.joints, hands.joints * [1, -1, -1])
        assert read_as(found.meta).endswith("OpenCV axes, metres (axes as told, else the official layout)")

    def test_a_hands_file_is_never_taken_for_official(self, make_hands, tmp_path):
        write_hands(tmp_path / "pred.h5", make_hands(6))
        (tmp_path / "pred.h5").rename(tmp_path / "pred.dat")
        found = read_predictions(tmp_path / "pred.dat", IDS, written=HO3D)
        np.testing.assert_array_equal(found.joints, make_hands(6).joints)
        assert read_as(found.meta) == "read as: FH21 order, OpenCV axes, metres (a file of handbench)"


class TestOther:
    @pytest.mark.parametrize(
        ("name", "content", "match"),
        [
            ("pred.pkl", b"\x80\x04]\x94.", "of a kind that is not read"),
            ("pred.dat", b"\x80\x04]\x94.", "of a kind that is not read"),
            ("pred.npy", b"\x93NUMPY\x01\x00", "of a kind that is not read"),
            ("pred.pth", b"PK\x03\x04", "cannot be read as a zip archive"),
            ("pred.txt", b"hello\nthere\n", "has no header line"),
            ("pred.txt", b"a\x00b", "is no text"),
            ("pred.txt", b"\xff\xfe1\x00", "is no text"),
            ("pred.h5", b"hello", "cannot be read: it is no HDF5"),
            ("pred.json", b"", "is empty"),
            ("pred.csv", b"\n \n", "is empty"),
            ("pred", b"{}", "does not hold a list"),
        ],
    )
    def test_what_is_no_file_of_predictions(self, tmp_path, name, content, match):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, match)

    def test_missing_folder_and_unknown_words(self, joints, tmp_path):
        with pytest.raises(MissingError, match="no predictions"):
            read_predictions(tmp_path / "pred.txt", IDS)
        refused(tmp_path, "is a folder")
        for said in ({"order": "h03d"}, {"axes": "gl"}, {"unit": "inch"}):
            with pytest.raises(UsageError, match=f"Unknown {next(iter(said))}"):
                read_predictions(tmp_path, IDS, **said)

    @settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        content=st.binary(max_size=200), suffix=st.sampled_from([".json", ".zip", ".npz", ".csv", ".txt", ".h5", ""])
    )
    def test_any_bytes_are_refused_in_words(self, tmp_path, content, suffix):
        path = tmp_path / f"pred{suffix}"
        path.write_bytes(content)
        with pytest.raises(HandbenchError):
            read_predictions(path, IDS)


class TestZip:
    def pack(self, path, members):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in members:
                file.writestr(name, content)
        return path

    def test_a_link_is_never_followed(self, tmp_path):
        link = zipfile.ZipInfo("pred.json")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        refused(self.pack(tmp_path / "pred.zip", [(link, "/etc/passwd")]), "a member that is a link: 'pred.json'")

    def test_an_archive_in_the_archive(self, joints, tmp_path):
        inner = self.pack(tmp_path / "inner.zip", [("pred.json", "[]")]).read_bytes()
        refused(self.pack(tmp_path / "pred.zip", [("a/pred.zip", inner)]), "another archive, 'a/pred.zip'")

    def test_pred_json_some_levels_down(self, joints, tmp_path):
        good, other = json.dumps([joints.tolist(), []]), "[]"
        path = self.pack(tmp_path / "pred.zip", [("a/b/c/pred.json", good), ("a/config.json", other)])
        np.testing.assert_array_equal(read_predictions(path, IDS).joints, joints)
        path = self.pack(tmp_path / "pred.zip", [("a/pred.json", good), ("b/pred.json", other)])
        refused(path, "has 2 .json files")

    def test_two_of_one_name(self, joints, tmp_path):
        with pytest.warns(UserWarning, match="Duplicate"):
            self.pack(tmp_path / "pred.zip", [("pred.json", "[]"), ("pred.json", "[]")])
        refused(tmp_path / "pred.zip", "two .json files of one name")


LAYOUTS = [{}, {"separators": (",", ":")}, {"indent": 1}, {"indent": "\t"}]


@pytest.fixture(params=[64, 1000, 1 << 19])
def block(request, monkeypatch):
    """JSON is cut into pieces of some such size, between samples."""
    monkeypatch.setattr(json_arrays, "BLOCK", request.param)


@pytest.mark.usefixtures("block")
class TestPieces:
    """However the text is cut, what is read is what `json` reads."""

    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_pieces_make_the_whole(self, make_hands, tmp_path, layout):
        hands = make_hands(40)
        path = tmp_path / "pred.json"
        path.write_text(json.dumps([hands.joints.tolist(), hands.vertices.tolist()], **layout))
        found, _ = read_json(path, hands.id, False)
        np.testing.assert_array_equal(found.joints, hands.joints)
        np.testing.assert_array_equal(found.vertices, hands.vertices)
        path.write_text(json.dumps(hands.joints.tolist(), **layout))
        np.testing.assert_array_equal(read_array(path, (21, 3)), hands.joints)

    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_what_is_right_is_read_once(self, make_hands, tmp_path, layout, monkeypatch):
        monkeypatch.setattr(prediction_json, "_parse", None)
        hands = make_hands(40)
        path = tmp_path / "pred.json"
        for mesh in (hands.vertices.tolist(), []):
            path.write_text(json.dumps([hands.joints.tolist(), mesh], **layout))
            assert len(read_json(path, hands.id, False)[0]) == 40

    def test_a_cut_and_a_nan_are_named_without_reading_the_whole(self, make_hands, tmp_path, monkeypatch):
        monkeypatch.setattr(prediction_json, "_parse", None)
        hands = make_hands(40)
        text = json.dumps([hands.joints.tolist(), hands.vertices.tolist()])
        path = tmp_path / "pred.json"
        path.write_text(text[: text.index("]]]") - 500])
        refused(path, r"is not valid JSON: it ends before sample 39 \(.*00000039\) of its joints does", hands.id)
        path.write_text(text[: len(text) // 2])
        refused(path, r"is not valid JSON: it ends before sample \d+ \(.*\) of its vertices does", hands.id)
        hands.vertices[33, 2, 1] = np.inf
        path.write_text(json.dumps([hands.joints.tolist(), hands.vertices.tolist()]))
        refused(path, r"Sample 33 \(.*00000033\) of pred.json has NaN or infinity in its vertices", hands.id)

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_a_changed_character_is_refused_or_read_as_json_reads_it(self, tmp_path, data):
        points = np.arange(6 * 21 * 3.0).reshape(6, 21, 3) / 8
        text = json.dumps([points.tolist(), points[:, :2].tolist()], **data.draw(st.sampled_from(LAYOUTS)))
        marks = [i for i, c in enumerate(text) if c in "[],"]
        for _ in range(data.draw(st.integers(1, 2))):
            at = data.draw(st.sampled_from(marks[-60:] + marks[:60] + marks[::7]))
            text = text[:at] + data.draw(st.sampled_from(["", "[", "]", ",", "]]", "],[", "1", "-"])) + text[at + 1 :]
        path = tmp_path / "pred.json"
        path.write_text(text)
        try:
            found, _ = read_json(path, [str(i) for i in range(6)], False)
        except InvalidError:
            return
        lists = json.loads(text)
        assert np.array_equal(found.joints, lists[0])
        assert len(lists) == 2
        assert np.array_equal([] if found.vertices is None else found.vertices, lists[1])

    def test_what_is_ragged_far_inside_is_named(self, make_hands, tmp_path):
        lists = [make_hands(40).joints.tolist(), make_hands(40).vertices.tolist()]
        lists[1][33][7].append(lists[1][33][6].pop())
        path = tmp_path / "pred.json"
        path.write_text(json.dumps(lists))
        match = r"Sample 33 \(33\) of pred.json: its vertices must be 60x3 numbers, and are lists of uneven length"
        refused(path, match, [str(i) for i in range(40)])

    def test_more_after_the_end_is_refused(self, make_hands, tmp_path):
        text = json.dumps(make_hands(40).joints.tolist())
        for more in ("]", ",", "[]", "1"):
            (tmp_path / "a.json").write_text(text + more)
            with pytest.raises(InvalidError, match="not valid JSON"):
                read_array(tmp_path / "a.json", (21, 3))
            (tmp_path / "pred.json").write_text(f"[{text}, []]{more}")
            refused(tmp_path / "pred.json", "not valid JSON", [str(i) for i in range(40)])


def said_of(truth: Hands, points, read: Conventions, kind: str) -> str:
    (text,) = [text for text in suspect(truth.joints, points, read) if text.startswith(kind)]
    return text


class TestWhatWasAssumed:
    """The flag that mends it is the one for the file, not for what was made of it."""

    def written_in(self, joints, real, read):
        """Predictions written in one convention, and read in another."""
        axes = {"opencv": np.ones(3), "opengl": np.array([1.0, -1, -1])}
        metre = {"m": 1, "dm": 10, "cm": 100, "mm": 1000}
        file = from_fh21(joints * axes[real.axes] * metre[real.unit], real.order)
        from handbench.hands.joints import to_fh21

        return to_fh21(file, read.order) * axes[read.axes] / metre[read.unit]

    def test_what_was_read_right_is_not_suspected(self, make_hands, noisy):
        truth = make_hands(20)
        for read in (Conventions(), HO3D, DEXYCB):
            assert suspect(truth.joints, self.written_in(noisy(truth).joints, read, read), read) == []

    def test_fh21_where_ho3d_is_expected(self, make_hands, noisy):
        truth = make_hands(20)
        points = self.written_in(noisy(truth).joints, HO3D._replace(order="fh21"), HO3D)
        text = said_of(truth, points, HO3D, "Joint order")
        assert "looks like FH21 order" in text
        assert "mm read as HO-3D order" in text
        assert text.endswith("`--order fh21` reads it so.")

    @pytest.mark.parametrize("order", ["rhd", "stb"])
    def test_a_third_order(self, make_hands, noisy, order):
        truth = make_hands(20)
        points = self.written_in(noisy(truth).joints, HO3D._replace(order=order), HO3D)
        assert f"`--order {order}`" in said_of(truth, points, HO3D, "Joint order")

    def test_opencv_where_opengl_is_expected(self, make_hands, noisy):
        truth = make_hands(20)
        points = self.written_in(noisy(truth).joints, HO3D._replace(axes="opencv"), HO3D)
        text = said_of(truth, points, HO3D, "Axes")
        assert "looks like the OpenCV frame" in text
        assert text.endswith("`--axes opencv` reads it so.")

    @pytest.mark.parametrize("real", ["m", "dm", "cm", "mm"])
    @pytest.mark.parametrize("read", ["m", "dm", "cm", "mm"])
    def test_every_unit_for_every_other(self, make_hands, noisy, real, read):
        truth = make_hands(20)
        points = self.written_in(noisy(truth).joints, Conventions(unit=real), Conventions(unit=read))
        if real == read:
            assert suspect(truth.joints, points, Conventions(unit=read)) == []
        else:
            assert f"`--unit {real}`" in said_of(truth, points, Conventions(unit=read), "Unit")

    def test_handbenchs_own_convention_where_ho3ds_is_expected(self, make_hands, noisy):
        truth = make_hands(20)
        texts = suspect(truth.joints, self.written_in(noisy(truth).joints, Conventions(), HO3D), HO3D)
        assert ["--order fh21" in texts[0], "--axes opencv" in texts[1], len(texts)] == [True, True, 2]


class TestLinesOfFramesThatDoNotCount:
    def text(self, tmp_path, extra):
        lines = [f"{i}," + ",".join("1.5" for _ in range(63)) for i in (0, 1)]
        (tmp_path / "pred.txt").write_text("\n".join([*lines, *extra]))
        return read_predictions(tmp_path / "pred.txt", ["d/0000", "d/0001"], written=Conventions(unit="mm"))

    def test_nothing_of_them_is_looked_at(self, tmp_path):
        nan = "7," + ",".join("nan" for _ in range(63))
        assert list(self.text(tmp_path, [nan, nan]).id) == ["d/0000", "d/0001"]

    def test_of_the_others_everything_is(self, tmp_path):
        nan = "1," + ",".join("nan" for _ in range(63))
        with pytest.raises(InvalidError, match="more than once"):
            self.text(tmp_path, [nan])
        (tmp_path / "pred.txt").write_text("0," + ",".join("1" for _ in range(63)) + "\n" + nan)
        with pytest.raises(InvalidError, match=r"Line 2 \(sample 1\) .* NaN or infinity"):
            read_predictions(tmp_path / "pred.txt", ["d/0000", "d/0001"], written=Conventions(unit="mm"))


def test_all_that_is_missing_is_named(tmp_path):
    ids = [f"d/{i:04d}" for i in range(9)]
    np.savez(tmp_path / "pred.npz", joints=np.zeros((4, 21, 3)))
    (tmp_path / "pred.json").write_text(json.dumps([np.zeros((4, 21, 3)).tolist(), []]))
    for name in ("pred.npz", "pred.json"):
        with pytest.raises(InvalidError, match="d/0004, d/0005, d/0006 and 2 more are not there"):
            read_predictions(tmp_path / name, ids)

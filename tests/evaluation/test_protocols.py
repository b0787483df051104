"""A protocol is read strictly, is found by its name and version, and its id changes with what matters only."""

import pytest

from handbench.datasets import ge_realworld
from handbench.errors import UsageError
from handbench.evaluation import protocol as protocols
from handbench.evaluation.protocol import SampleSet, load, names, read
from handbench.evaluation.unlike import describe_difference

MINIMAL = 'name = "p"\nversion = 1\n[[metrics]]\nname = "mpjpe"\nalignments = ["none"]\n'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(protocols, "shipped", lambda *parts: tmp_path)

    def write(stem, text):
        (tmp_path / f"{stem}.toml").write_text(text)
        return tmp_path / f"{stem}.toml"

    return write


def test_every_shipped_protocol_loads_and_says_where_it_comes_from():
    assert set(names()) >= {"freihand", "ge-realworld", "synthetic"}
    for name in names():
        found = load(name)
        assert found.name == name
        assert found.source
        assert found.decision
        assert load(f"{name}@{found.version}") == found


def test_freihand_is_the_official_list():
    found = load("freihand")
    ids = found.official_ids()
    assert (ids[0], ids[-1], len(ids)) == ("freihand/test/00000000", "freihand/test/00003959", 3960)
    assert found.given == ("camera", "scale")


def test_ge_realworld_is_the_split_that_prep_makes():
    found = load("ge-realworld")
    ids = found.official_ids()
    assert found.count == ge_realworld.CARD.splits["test"] == 117
    assert (ids[0], ids[-1]) == ("ge-realworld/test/00466", "ge-realworld/test/00582")
    assert found.first == ge_realworld.FIRST_TEST
    assert "466-582 of 583" in found.decision


def test_misspelt_names_and_keys_get_a_suggestion(folder):
    with pytest.raises(UsageError, match="no protocol 'p2'"):
        folder("p", MINIMAL) and load("p2")
    for text, said in (
        ('rot = "wrist"\n' + MINIMAL, "unknown key 'rot'; did you mean 'root'"),
        (MINIMAL + "treshold = 5\n", r"unknown key 'metrics.0.treshold'; did you mean 'threshold'"),
        (MINIMAL.replace("none", "procustes"), "metrics.0.alignments.0"),
        ('root = "elbow"\n' + MINIMAL, "root 'elbow' is no joint"),
        (MINIMAL.replace("mpjpe", "auc"), "auc needs low, high and steps"),
        (MINIMAL + "threshold = 5.0\n", "mpjpe takes no threshold"),
        (MINIMAL + MINIMAL.partition("1\n")[2], "two metrics have one name"),
        ("name = ", "is not TOML"),
    ):
        with pytest.raises(UsageError, match=said):
            read(folder("q", text))


def test_metrics_are_refused_under_alignments_that_they_are_not_defined_under(folder):
    for name, alignment, known in (
        ("acceleration", "procrustes", "none, root"),
        ("epe-2d", "root", "none"),
        ("mpvpe", "scale-translation", "none, root, rigid, procrustes, procrustes-official"),
    ):
        text = MINIMAL.replace("mpjpe", name).replace("none", alignment)
        with pytest.raises(UsageError, match=f"{name} is not defined under {alignment}; it is under {known}"):
            read(folder("q", text))
    with pytest.raises(UsageError, match="keeps fewer than two of its steps"):
        read(folder("q", MINIMAL.replace("mpjpe", "auc") + "low = 0.0\nhigh = 50.0\nsteps = 20\nskip = 19\n"))


def test_a_variant_holds_what_differs(folder):
    variants = '[variants.left]\nside = "left"\n[variants.both]\nversion = 3\n'
    folder("p", MINIMAL + variants)
    assert names() == ["p", "p-both", "p-left"]
    assert load("p").side is None
    assert (load("p-left").side, load("p-left").name, load("p-left").version) == ("left", "p-left", 1)
    assert load("p-both").version == 3
    folder("p", MINIMAL.replace("version = 1\n", "") + variants.replace('side = "left"', "version = 1"))
    assert names() == ["p-both", "p-left"]


def test_the_counts_of_the_official_lists():
    counts = {"ho3d-v2": 11524, "ho3d-v3": 20137, "dexycb-s0": 78768, "rhd": 2728, "stb": 3000, "dexter-object": 3014}
    assert {name: load(name).count for name in counts} == counts
    assert load("ho3d-v2").official_ids()[-1] == "ho3d-v2/test/00011523"
    # which frames have no hand is known from the files only
    assert load("dexycb-s0").official_ids() is None


def test_the_official_files_of_each_script_are_written_in_its_own_way():
    assert load("freihand").written == ("fh21", "opencv", "m")
    assert load("ho3d-v3").written == ("ho3d", "opengl", "m")
    assert load("dexycb-s2").written == ("fh21", "opencv", "mm")
    assert load("rhd").written == ("fh21", "opencv", "m")


def test_the_three_palms_to_wrists_of_stb_are_protocols_of_their_own():
    found = {name: load(name).wrist for name in names() if name.startswith("stb")}
    # and the stereo camera's, with the first of them
    wrists = {"stb": "ge", "stb-bb": "ge", "stb-bihand": "bihand", "stb-bihand-mean": "bihand-mean"}
    assert found == wrists | {"stb-palm": "palm"}
    assert len({load(name).identity(["a"]) for name in found}) == 5


def test_the_set_of_samples_does_not_know_its_order_or_its_blocks():
    whole = SampleSet().add(["a", "b", "c"])
    assert SampleSet().add(["c"]).add(["b", "a"]).digest() == whole.digest()
    assert SampleSet().add(["a", "b"]).digest() != whole.digest()
    assert SampleSet().add(["ab", "c"]).digest() != SampleSet().add(["a", "bc"]).digest()
    assert whole.count == 3


def test_the_shipped_misspelt_name():
    with pytest.raises(UsageError, match="did you mean 'freihand'"):
        load("frehand")
    with pytest.raises(UsageError, match="no protocol") as caught:
        load("freihand@99")
    assert "freihand@1" in caught.value.hint
    with pytest.raises(UsageError, match="no version number"):
        load("freihand@new")


def test_without_a_version_the_newest(folder):
    folder("p@1", MINIMAL)
    folder("p", MINIMAL.replace("version = 1", "version = 2"))
    assert load("p").version == 2
    assert load("p@1").version == 1
    assert names() == ["p"]


def test_the_id_is_of_what_matters(folder):
    (found,) = read(folder("p", MINIMAL))
    ids = ["a", "b", "c"]
    identity = found.identity(ids)
    assert identity.startswith("p@1-")
    assert len(identity) == len("p@1-") + 8
    assert found.identity(["c", "a", "b"]) == identity
    assert found.model_copy(update={"decision": "other words", "source": "x", "title": "y"}).identity(ids) == identity
    assert found.identity(ids[:2]) != identity
    assert found.identity(ids, "handbench synthetic hand") != identity
    assert found.model_copy(update={"root": "middle MCP"}).identity(ids) != identity


def test_ids_do_not_drift():
    """A change here makes every stored result incomparable: it needs a new version of the protocol."""
    found = load("freihand")
    assert found.identity(found.official_ids()) == "freihand@1-20843403"


def test_a_difference_is_said_in_words(folder):
    (a,) = read(folder("a", 'root = "wrist"\n' + MINIMAL))
    (b,) = read(folder("b", 'root = "middle MCP"\n' + MINIMAL.replace('["none"]', '["none", "root"]')))
    assert describe_difference(a, a) == []
    assert describe_difference(a, b) == ["root: wrist against middle MCP", "mpjpe, alignments: none against none, root"]
    score = '[[metrics]]\nname = "f-score"\nalignments = ["none"]\nthreshold = 5.0\n'
    (c,) = read(folder("c", 'root = "wrist"\n' + MINIMAL + score))
    assert describe_difference(a, c) == ["f@5: only p@1 has it"]

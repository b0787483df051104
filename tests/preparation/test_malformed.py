"""Whatever is wrong with an official folder, `prep` says it in one sentence that names the file, and nothing is lost in
silence."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from handbench.store.hands_file import HandsFile
from handbench.synth.layout import WRITERS
from tests.conftest import jpeg
from tests.hands.test_pickles import GADGETS, nested_calls
from tests.preparation.conftest import options_of
from tests.preparation.malformed import CASES, Case

PATIENCE = 60


@pytest.fixture(autouse=True)
def in_time():
    """A pipe has no end, and some files claim none: whoever waits for them is stopped."""

    def stop(*_):
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(PATIENCE)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def official(written, tmp_path):
    """A copy of a written layout, to be spoilt."""

    def of(dataset: str) -> Path:
        return Path(shutil.copytree(written(dataset), tmp_path / "official", copy_function=os.link))

    return of


def prep(handbench, root: Path, dataset: str, split: str, *words):
    return handbench("prep", dataset, root, "--split", split, "--workers", 1, *options_of(dataset, root), *words)


def assert_refused(ran, code: int | tuple[int, ...], home: Path) -> str:
    """One sentence, its hint, the exit code, and no file; returns the sentence."""
    said = ran.err + ran.out
    assert "Traceback" not in said
    assert "bug:" not in said
    assert ran.code in ((code,) if isinstance(code, int) else code), said
    errors = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, said
    assert errors[0].endswith((".", "?", "!")), errors[0]
    assert not ran.out
    # blocks that were finished wait for the next run; no file is
    assert not [path for path in home.parent.rglob("*.h5") if not path.parent.name.endswith(".part")]
    return errors[0]


# one in so many is among the everyday tests
EVERY = 6


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.proof if i % EVERY else ()) for i, case in enumerate(CASES)], ids=str
)
def test_what_is_wrong_is_said(handbench, official, home, case: Case):
    root = official(case.dataset)
    case.spoil(root / case.inside)
    words = ["--partial"] if case.partial else []
    ran = prep(handbench, root, case.dataset, case.split, *words, *case.options)
    # what is there and is no file may be called missing
    code = (3, 4) if case.what in ("is a link to itself", "is a folder", "is a file") else case.code
    sentence = assert_refused(ran, code, home)
    belongs = "do not belong together" in sentence
    assert belongs or (case.names or case.inside) in sentence
    assert belongs or isinstance(code, tuple) or case.says in sentence + ran.err
    if case.samples:
        assert_only_these_are_left_out(handbench, root, home, case)


def assert_only_these_are_left_out(handbench, root: Path, home: Path, case: Case) -> None:
    ran = prep(handbench, root, case.dataset, case.split, "--partial", "--skip-bad", *case.options)
    assert ran.code == 0, ran.err
    assert "bug:" not in ran.err
    file = HandsFile(ran.out.strip())
    assert tuple(name for name, _ in file.left_out) == case.samples
    assert all(case.inside in why for _, why in file.left_out)
    assert all(name in ran.err for name in case.samples)
    assert file.meta["partial"]
    assert file.meta["left_out"] == len(case.samples)
    assert file.meta["frames"] == len(file) + len(case.samples)
    assert not set(case.samples) & set(file.ids.tolist())


# every place where a layout has a pickle, or a file that may hold one: the file, and what turns a pickle into it
PICKLES = {
    "ho3d-v2 train": ("ho3d-v2", "train", "train/ABF10/meta/0001.pkl"),
    "ho3d-v2 test": ("ho3d-v2", "test", "evaluation/AP10/meta/0001.pkl"),
    "ho3d-v3 train": ("ho3d-v3", "train", "train/ABF10/meta/0001.pkl"),
    "ho3d-v3 test": ("ho3d-v3", "test", "evaluation/AP10/meta/0001.pkl"),
    "rhd": ("rhd", "test", "evaluation/anno_evaluation.pickle"),
}
CALLS = ("os.system", "eval", "inside a list", "an object array", "as a state")


@pytest.fixture
def marker(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "it_ran"


@pytest.mark.parametrize("place", PICKLES)
def test_a_malicious_pickle_in_its_place_runs_nothing(handbench, official, home, marker, place):
    dataset, split, inside = PICKLES[place]
    root = official(dataset)
    programs = {name: pickle.dumps(nested_calls()[name], protocol) for name in CALLS for protocol in (0, 2, 4)}
    programs |= {name: GADGETS[name] for name in GADGETS if "numpy" in name or name in ("INST", "EXT1", "NEWOBJ_EX")}
    for name, program in programs.items():
        (root / inside).unlink()
        (root / inside).write_bytes(program)
        ran = prep(handbench, root, dataset, split, "--partial")
        assert inside in assert_refused(ran, 4, home), name
        assert not marker.exists(), name


def object_array(path: Path) -> None:
    """An npz as numpy would unpickle it."""
    value = np.empty(1, object)
    value[0] = nested_calls()["os.system"]
    path.unlink()
    with path.open("wb") as file:
        np.savez(file, joint_3d=value, pose_m=value, seg=value)


TAGS = ("!!python/object/apply:os.system ['touch it_ran']", "!!python/object/new:os.system ['touch it_ran']")


def test_dexycb_s_labels_and_calibration_run_nothing(handbench, official, written, home, marker):
    root = official("dexycb")
    (label,) = sorted(root.glob("2*/*/836212060125/labels_000000.npz"))[:1]
    object_array(label)
    sentence = assert_refused(prep(handbench, root, "dexycb", "s2-train", "--partial"), 4, home)
    assert label.name in sentence
    for file in ("meta.yml", "mano.yml", "836212060125_640x480.yml"):
        again = Path(shutil.copytree(written("dexycb"), root.with_name("again"), copy_function=os.link))
        for tag in TAGS:
            for path in again.rglob(file):
                path.unlink()
                path.write_text(f"a: {tag}\n")
            assert file in assert_refused(prep(handbench, again, "dexycb", "s2-train", "--partial"), 4, home)
        shutil.rmtree(again)
    assert not marker.exists()


DEXYCB = {
    "label cut": ("labels_000000.npz", lambda path: path.write_bytes(path.read_bytes()[:3000]), 4),
    "label empty": ("labels_000000.npz", lambda path: path.write_bytes(b""), 4),
    "label missing": ("labels_000000.npz", lambda path: None, 3),
    "image cut": ("color_000000.jpg", lambda path: path.write_bytes(path.read_bytes()[:3000]), 4),
    "image missing": ("color_000000.jpg", lambda path: None, 3),
    "image of another size": ("color_000000.jpg", lambda path: path.write_bytes(jpeg(1, 320)), 4),
}


@pytest.mark.parametrize("what", DEXYCB)
def test_a_bad_frame_of_dexycb_is_named_or_left_out(handbench, official, home, what):
    name, spoil, code = DEXYCB[what]
    root = official("dexycb")
    whole = prep(handbench, root, "dexycb", "s2-train", "--partial")
    sample = HandsFile(whole.out.strip()).read(0, 1)
    Path(whole.out.strip()).unlink()
    path = root / str(sample.track[0]) / name
    keep = path.read_bytes()
    path.unlink()
    if code == 4:
        path.write_bytes(keep)
    spoil(path)
    assert str(path) in assert_refused(prep(handbench, root, "dexycb", "s2-train", "--partial"), code, home)
    ran = prep(handbench, root, "dexycb", "s2-train", "--partial", "--skip-bad")
    assert ran.code == 0, ran.err
    assert [left for left, _ in HandsFile(ran.out.strip()).left_out] == [str(sample.id[0])]


HANCO = {
    "joints cut": ("xyz/0000/00000000.json", lambda path: path.write_text(path.read_text()[:200]), 4),
    "joints of another shape": ("xyz/0000/00000000.json", lambda path: path.write_text("[[1, 2, 3]]"), 4),
    "joints not finite": (
        "xyz/0000/00000000.json", lambda path: path.write_text(f"[{'[NaN, 1, 2],' * 20} [1, 2, 3]]"), 4,
    ),
    "cameras missing": ("calib/0000/00000000.json", Path.unlink, 3),
    "cameras no JSON": ("calib/0000/00000000.json", lambda path: path.write_bytes(b"\x00"), 4),
    "index cut": ("meta.json", lambda path: path.write_text(path.read_text()[:50]), 4),
    "index missing": ("meta.json", Path.unlink, 3),
    "image cut": ("rgb/0000/cam0/00000000.jpg", lambda path: path.write_bytes(path.read_bytes()[:900]), 4),
}  # fmt: skip


@pytest.mark.parametrize("what", HANCO)
def test_what_is_wrong_with_hanco_is_said(handbench, written, tmp_path, home, what):
    inside, spoil, code = HANCO[what]
    root = Path(shutil.copytree(written("hanco"), tmp_path / "official"))
    spoil(root / inside)
    assert inside in assert_refused(prep(handbench, root, "hanco", "all", "--partial"), code, home)


@pytest.mark.parametrize("dataset", WRITERS)
def test_a_root_that_is_an_archive_or_nothing(handbench, tmp_path, home, dataset):
    archive = tmp_path / f"{dataset}.zip"
    archive.write_bytes(b"PK")
    assert "archive" in assert_refused(handbench("prep", dataset, archive), 4, home)
    assert "does not exist" in assert_refused(handbench("prep", dataset, tmp_path / "no"), 3, home)

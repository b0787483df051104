"""A file of hands is whole or it is refused, and gives back what went in."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time

import h5py
import numpy as np
import pytest

from handbench.errors import InvalidError, MissingError
from handbench.hands.record import Hands
from handbench.store.hands_file import HandsFile
from handbench.store.hands_writer import write_hands
from handbench.store.parts import Parts


def some_hands(n: int, seed: int = 0) -> tuple[Hands, list[bytes]]:
    rng = np.random.default_rng(seed)
    joints = rng.normal(size=(n, 21, 3))
    joints[0, 3] = np.nan
    hands = Hands(
        id=np.array([f"set/{'ü' * (i % 3)}{i:04d}" for i in range(n)]),
        side=np.where(rng.uniform(size=n) < 0.5, "left", "right"),
        joints=joints,
        joints_valid=np.isfinite(joints).all(-1),
        vertices=rng.normal(size=(n, 778, 3)).astype(np.float32),
        meta={"dataset": "set", "partial": False},
    )
    return hands, [rng.integers(0, 256, rng.integers(0, 90), dtype=np.uint8).tobytes() for _ in range(n)]


def same(a: Hands, b: Hands) -> bool:
    return all(np.array_equal(x, getattr(b, name), equal_nan=x.dtype.kind == "f") for name, x in a.arrays())


def test_what_goes_in_comes_out_in_the_same_types(tmp_path):
    hands, images = some_hands(11)
    write_hands(tmp_path / "a.h5", hands, images)
    with HandsFile(tmp_path / "a.h5") as file:
        back = file.read()
        assert same(hands, back)
        assert back.joints.dtype == np.float64
        assert back.vertices.dtype == np.float32
        assert back.mano_pose is None
        assert [file.image(i) for i in range(11)] == images
        assert same(hands.take(slice(3, 7)), file.read(3, 7))
        assert sum(len(block) for block in file.blocks(4)) == 11
        assert file.meta == {"dataset": "set", "partial": False}
        file.verify()


def test_a_file_crosses_to_another_process_and_opens_anew(tmp_path):
    hands, images = some_hands(3)
    write_hands(tmp_path / "a.h5", hands, images)
    file = HandsFile(tmp_path / "a.h5")
    assert file.image(2) == images[2]
    other = pickle.loads(pickle.dumps(file))
    assert other.image(1) == images[1]


def test_blocks_in_any_order_make_the_file_that_one_write_makes(tmp_path):
    hands, images = some_hands(10)
    write_hands(tmp_path / "whole.h5", hands, images)
    with Parts(tmp_path / "parts.h5", len(hands), {}, block=3) as parts:
        for start, stop in reversed(parts.todo()):
            parts.write(start, hands.take(slice(start, stop)), images[start:stop])
        joined = parts.finish(dict(hands.meta))
    assert joined.checksums == HandsFile(tmp_path / "whole.h5").checksums
    assert sorted(p.name for p in tmp_path.iterdir()) == ["parts.h5", "whole.h5"]


def test_a_second_run_resumes_the_same_plan_and_not_another(tmp_path):
    hands, images = some_hands(9)
    with Parts(tmp_path / "a.h5", len(hands), {"source": 1}, block=4) as parts:
        parts.write(4, hands.take(slice(4, 8)), images[4:8])
    with Parts(tmp_path / "a.h5", len(hands), {"source": 1}, block=4) as parts:
        assert parts.todo() == [(0, 4), (8, 9)]
    with Parts(tmp_path / "a.h5", len(hands), {"source": 2}, block=4) as parts:
        assert parts.todo() == [(0, 4), (4, 8), (8, 9)]


def test_two_runs_into_one_file_are_refused(tmp_path):
    hands, _ = some_hands(2)
    first, second = (Parts(tmp_path / "a.h5", len(hands), {}) for _ in range(2))
    with first, pytest.raises(InvalidError, match="Another run"), second:
        pass


def test_a_missing_file_is_missing_and_names_who_makes_it(tmp_path):
    with pytest.raises(MissingError) as error:
        HandsFile(tmp_path / "no.h5", "`handbench prep freihand` makes it.")
    assert "no.h5 does not exist" in error.value.message
    assert error.value.hint == "`handbench prep freihand` makes it."


@pytest.mark.parametrize("keep", [0, 1, 100, 0.3, 0.9])
def test_a_cut_file_is_invalid(tmp_path, keep):
    hands, images = some_hands(40)
    path = tmp_path / "a.h5"
    write_hands(path, hands, images)
    data = path.read_bytes()
    path.write_bytes(data[: keep if isinstance(keep, int) else int(keep * len(data))])
    with pytest.raises(InvalidError, match="cannot be read"):
        HandsFile(path)


def test_a_half_written_file_is_invalid(tmp_path):
    hands, _ = some_hands(4)
    write_hands(tmp_path / "a.h5", hands)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file.attrs["complete"] = 0
    with pytest.raises(InvalidError, match="half written"):
        HandsFile(tmp_path / "a.h5")


def test_somebody_elses_hdf5_is_invalid(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.arange(3)
    with pytest.raises(InvalidError, match="not one of handbench's"):
        HandsFile(tmp_path / "a.h5")


def test_a_changed_number_is_found_by_verify(tmp_path):
    hands, _ = some_hands(4)
    write_hands(tmp_path / "a.h5", hands)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["hands/joints"][2, 3, 1] += 1e-9
    with pytest.raises(InvalidError, match="hands/joints"):
        HandsFile(tmp_path / "a.h5").verify()


def test_a_failed_write_leaves_the_old_file(tmp_path):
    hands, images = some_hands(4)
    write_hands(tmp_path / "a.h5", hands, images)
    before = (tmp_path / "a.h5").read_bytes()
    with pytest.raises(InvalidError):
        write_hands(tmp_path / "a.h5", hands, images[:-1])
    assert (tmp_path / "a.h5").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_is_one_sentence_and_leaves_the_old_file(tmp_path):
    """A limit on the size of files stands in for the full disk: the write fails half-way in the same place."""
    hands, images = some_hands(50)
    write_hands(tmp_path / "a.h5", hands.take(slice(0, 1)), images[:1])
    before = (tmp_path / "a.h5").read_bytes()
    script = textwrap.dedent(f"""
        import resource, signal, sys
        sys.path.insert(0, {os.path.dirname(__file__)!r})
        from pathlib import Path
        from test_hands_file import some_hands
        from handbench.errors import MissingError
        from handbench.store.hands_writer import write_hands
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            write_hands(Path({str(tmp_path / "a.h5")!r}), *some_hands(50))
        except MissingError as error:
            print(error.message, error.exit_code)
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "The disk is full" in done.stdout
    assert done.stdout.strip().endswith("3")
    assert (tmp_path / "a.h5").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_killed_run_resumes_to_the_same_arrays(tmp_path):
    """kill -9 in the middle; the second run writes only what is missing."""
    script = textwrap.dedent(f"""
        import sys, time
        sys.path.insert(0, {os.path.dirname(__file__)!r})
        from pathlib import Path
        from test_hands_file import some_hands
        from handbench.store.parts import Parts
        hands, images = some_hands(40)
        with Parts(Path(sys.argv[1]), len(hands), {{}}, block=4) as parts:
            todo = parts.todo()
            for start, stop in todo:
                parts.write(start, hands.take(slice(start, stop)), images[start:stop])
                print(start, flush=True)
                time.sleep(float(sys.argv[2]))
            parts.finish(dict(hands.meta))
        print("wrote", len(todo))
    """)
    path = tmp_path / "killed.h5"
    run = subprocess.Popen([sys.executable, "-c", script, str(path), "0.2"], stdout=subprocess.PIPE, text=True)
    for _ in range(3):
        run.stdout.readline()
    time.sleep(0.05)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert not path.exists()
    again = subprocess.run(
        [sys.executable, "-c", script, str(path), "0"], capture_output=True, text=True, check=True
    ).stdout
    assert int(again.split("wrote")[1]) < 10
    hands, images = some_hands(40)
    write_hands(tmp_path / "whole.h5", hands, images)
    assert HandsFile(path).checksums == HandsFile(tmp_path / "whole.h5").checksums


def test_what_a_killed_writer_left_is_swept_and_a_living_one_s_is_not(tmp_path):
    hands, _ = some_hands(2)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead, living = (tmp_path / f".a.h5.{pid}.part" for pid in (ended.pid, os.getppid()))
    for left in (dead, living):
        left.write_text("half")
    write_hands(tmp_path / "a.h5", hands)
    assert not dead.exists()
    assert living.exists()

"""Preparing gives the same file whoever does it, goes on where it was stopped, and leaves nothing out in silence."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from handbench.datasets import freihand
from handbench.errors import InvalidError, MissingError
from handbench.preparation import blocks
from handbench.preparation.blocks import block_size
from handbench.preparation.prepare import estimate, prepare
from handbench.store.hands_file import HandsFile
from tests.conftest import jpeg
from tests.datasets import official


def source(root, **wanted):
    return official.source("freihand", root, "train", partial=True, **wanted)


def whole(root, path):
    return prepare(source(root), path, workers=1)


def cut(image):
    image.write_bytes(image.read_bytes()[:900])


@pytest.mark.parametrize("workers", [2, 5])
def test_the_file_does_not_depend_on_the_number_of_workers(several_blocks, tmp_path, workers):
    one = whole(several_blocks, tmp_path / "one.h5")
    many = prepare(source(several_blocks), tmp_path / "many.h5", workers=workers)
    assert many.checksums == one.checksums
    assert {k: v for k, v in many.meta.items() if k != "made"} == {k: v for k, v in one.meta.items() if k != "made"}
    assert [many.image(i) for i in (0, 31, 32, 119)] == [jpeg(i) for i in (0, 31, 32, 119)]
    many.verify()


def test_a_block_has_32_to_1024_frames_by_the_number_of_frames_alone():
    assert [block_size(n) for n in (1, 120, 1600, 130240, 860000)] == [32, 32, 100, 1024, 1024]


class TestDamagedSamples:
    def test_the_first_one_stops_and_is_named(self, several_blocks, tmp_path):
        cut(several_blocks / "training/rgb/00000040.jpg")
        for workers in (1, 2):
            with pytest.raises(InvalidError, match=r"00000040\.jpg is cut short"):
                prepare(source(several_blocks), tmp_path / "a.h5", workers=workers)
        assert not (tmp_path / "a.h5").exists()

    def test_skipping_leaves_out_and_lists_them_and_nothing_else(self, several_blocks, tmp_path):
        for i in (40, 119):
            cut(several_blocks / f"training/rgb/{i:08d}.jpg")
        (several_blocks / "training/rgb/00000041.jpg").write_bytes(b"no image")
        file = prepare(source(several_blocks), tmp_path / "a.h5", workers=2, skip_bad=True)
        assert len(file) == 117
        assert [name for name, _ in file.left_out] == [f"freihand/train/{i:08d}" for i in (40, 41, 119)]
        assert "cut short" in file.left_out[0][1]
        assert "neither JPEG nor PNG" in file.left_out[1][1]
        assert file.meta["partial"]
        assert file.meta["left_out"] == 3
        assert file.meta["frames"] == 120
        kept = [i for i in range(120) if i not in (40, 41, 119)]
        assert file.ids.tolist() == [f"freihand/train/{i:08d}" for i in kept]
        assert [file.image(k) for k in (39, 40, 116)] == [jpeg(i) for i in (39, 42, 118)]
        file.verify()

    def test_a_run_that_does_not_skip_does_not_take_what_one_that_did_left(self, several_blocks, tmp_path):
        image = several_blocks / "training/rgb/00000040.jpg"
        good, when = image.read_bytes(), image.stat().st_mtime_ns
        image.write_bytes(good[:900] + b"\0" * (len(good) - 900))
        os.utime(image, ns=(when, when))
        assert len(prepare(source(several_blocks), tmp_path / "a.h5", skip_bad=True)) == 119
        with pytest.raises(InvalidError, match="cut short"):
            prepare(source(several_blocks), tmp_path / "a.h5")
        assert len(HandsFile(tmp_path / "a.h5")) == 119, "the earlier file stays"
        image.write_bytes(good)
        os.utime(image, ns=(when, when))
        assert len(prepare(source(several_blocks), tmp_path / "a.h5")) == 120

    def test_where_nothing_can_be_read_nothing_is_written(self, several_blocks, tmp_path):
        for image in (several_blocks / "training/rgb").iterdir():
            cut(image)
        with pytest.raises(InvalidError, match="No frame"):
            prepare(source(several_blocks), tmp_path / "a.h5", skip_bad=True)
        assert not (tmp_path / "a.h5").exists()


def test_a_limit_takes_the_first_frames_and_says_so(several_blocks, tmp_path):
    file = prepare(source(several_blocks), tmp_path / "a.h5", limit=33)
    assert file.ids[-1] == "freihand/train/00000032"
    assert len(file) == 33
    assert file.meta["partial"]
    assert len(prepare(source(several_blocks), tmp_path / "a.h5")) == 120, "another limit is another plan"


def test_an_estimate_reads_some_frames_and_writes_nothing(several_blocks, tmp_path):
    seen = estimate(source(several_blocks))
    path = tmp_path / "a.h5"
    assert seen.frames == 120
    assert sorted(p.name for p in tmp_path.iterdir()) == ["FreiHAND_pub_v2"]
    prepare(source(several_blocks), path)
    assert 0.5 < seen.size / path.stat().st_size < 2
    assert seen.seconds == pytest.approx(120 / seen.rate)


def test_a_dry_run_says_what_it_would_do(handbench, several_blocks, home):
    ran = handbench("prep", "freihand", several_blocks, "--partial", "--split", "train", "--dry-run")
    assert ran.code == 0
    assert "120 frames" in ran.out
    assert "frames/s" in ran.out
    assert not home.exists()


def test_a_worker_that_is_killed_is_said_and_what_was_written_is_kept(several_blocks, tmp_path, monkeypatch):
    real = blocks.read_range

    def dying(split, start, stop, skip_bad):
        if start == 64:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(split, start, stop, skip_bad)

    monkeypatch.setattr(blocks, "read_range", dying)
    with pytest.raises(MissingError, match="killed"):
        prepare(source(several_blocks), tmp_path / "a.h5", workers=2)
    monkeypatch.undo()
    assert (
        prepare(source(several_blocks), tmp_path / "a.h5").checksums
        == whole(several_blocks, tmp_path / "b.h5").checksums
    )


SLOWLY = """
import sys, time
from pathlib import Path
from handbench.preparation import blocks, prepare
from tests.datasets import official
real = blocks.read_range
def slow(*words):
    print("begun", flush=True)
    time.sleep(30)
    return real(*words)
blocks.read_range = slow
source = official.source("freihand", Path(sys.argv[1]), "train", partial=True)
prepare.prepare(source, Path(sys.argv[2]), workers=2)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_workers_end_when_the_run_ends_however_it_does(several_blocks, tmp_path, how):
    command = [sys.executable, "-c", SLOWLY, str(several_blocks), str(tmp_path / "a.h5")]
    # a shell's background jobs do not hear Ctrl-C
    run = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    run.stdout.readline()
    workers = psutil.Process(run.pid).children(recursive=True)
    assert workers
    run.send_signal(how)
    run.wait(20)
    deadline = time.monotonic() + 10
    while any(worker.is_running() and worker.status() != "zombie" for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert whole(several_blocks, tmp_path / "a.h5").count == 120, "nobody holds the file"


def test_the_official_count_is_asked_for_at_the_end(several_blocks, tmp_path, monkeypatch):
    """Frames without an annotation are known only when all labels are read."""
    monkeypatch.setattr(freihand, "UNIQUE", 30)
    monkeypatch.setitem(freihand.CARD.splits, "train", 120)
    one = official.source("freihand", several_blocks, "train")
    split = one.open()
    split.meta["count"] = 121
    with pytest.raises(InvalidError, match=r"120 annotated samples .* has 121"):
        prepare(one, tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists()
    split.meta["count"] = 120
    assert not prepare(one, tmp_path / "a.h5").meta["partial"]


def dask(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "distributed.cli." + words[0], *map(str, words[1:])],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": os.getcwd()},
    )  # fmt: skip


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and two workers on this machine, each a process of its own."""
    pytest.importorskip("distributed")
    file = tmp_path / "scheduler.json"
    started = [dask("dask_scheduler", "--host", "127.0.0.1", "--port", 0, "--scheduler-file", file, "--no-dashboard")]
    local = tmp_path / "dask"
    for _ in range(2):
        words = ("--scheduler-file", file, "--no-nanny", "--nthreads", 1, "--no-dashboard", "--local-directory", local)
        started.append(dask("dask_worker", *words))
    deadline = time.monotonic() + 60
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    import json

    from distributed import Client

    address = json.loads(file.read_text())["address"]
    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    yield address
    for process in started:
        process.kill()
        process.wait()


def test_two_workers_behind_a_scheduler_make_the_file_that_one_process_makes(handbench, several_blocks, home, cluster):
    one = whole(several_blocks, home.parent / "one.h5")
    ran = handbench("prep", "freihand", several_blocks, "--partial", "--split", "train", "--scheduler", cluster)
    assert ran.code == 0, ran.err
    assert HandsFile(home / "data/freihand-train.h5").checksums == one.checksums
    # an error crosses from a worker with its sentence
    cut(several_blocks / "training/rgb/00000040.jpg")
    ran = handbench("prep", "freihand", several_blocks, "--partial", "--split", "train", "--scheduler", cluster)
    assert ran.code == 4
    assert "00000040.jpg is cut short" in ran.err


def test_a_scheduler_that_does_not_answer_is_missing(handbench, several_blocks, home, monkeypatch):
    monkeypatch.setattr("handbench.preparation.workers.PATIENCE", 0.5)
    ran = handbench(
        "prep", "freihand", several_blocks, "--partial", "--split", "train", "--scheduler", "tcp://127.0.0.1:9"
    )
    assert ran.code == 3
    assert "No scheduler answers at tcp://127.0.0.1:9" in ran.err


def test_masks_come_along_when_they_are_asked_for(several_blocks, tmp_path):
    import cv2

    (several_blocks / "training/mask").mkdir()
    mask = np.zeros((224, 224, 3), np.uint8)
    mask[50:100, 60:160] = 255
    for i in range(30):
        cv2.imwrite(str(several_blocks / f"training/mask/{i:08d}.jpg"), mask)
    file = prepare(source(several_blocks, masks=True), tmp_path / "a.h5", workers=2)
    assert file.streams == ("images", "masks")
    for i in (0, 40, 119):
        found = cv2.imdecode(np.frombuffer(file.image(i, "masks"), np.uint8), cv2.IMREAD_UNCHANGED)
        assert found.ndim == 2
        assert np.array_equal(found, mask[..., 0])
    file.verify()

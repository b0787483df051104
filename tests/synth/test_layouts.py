"""Every writer has the same four names, counts what it writes, and refuses what it cannot write."""

from __future__ import annotations

import inspect

import pytest

from handbench import datasets
from handbench.errors import InvalidError, UsageError
from handbench.hands.record import Hands
from handbench.synth.hand import synthetic_hand
from handbench.synth.layout import WRITERS, Size, writer

SMALL = {"sequences": Size(sequences=1, frames=1), "samples": Size(samples=1, held=1)}


def small(module):
    return SMALL["sequences" if module.SIZE.sequences else "samples"]


def more(dataset):
    """HO-3D's two versions share a module, which is told which."""
    return {"dataset": dataset} if dataset.startswith("ho3d") else {}


@pytest.mark.parametrize("dataset", WRITERS)
def test_a_writer_has_size_write_images_and_truth(dataset):
    module = writer(dataset)
    assert isinstance(module.SIZE, Size)
    single, sequences = module.SIZE.samples > 0, module.SIZE.sequences > 0
    assert single != sequences
    assert (module.SIZE.frames > 0) == sequences
    assert list(inspect.signature(module.write).parameters)[:5] == ["out", "size", "seed", "hands", "advance"]
    assert list(inspect.signature(module.truth).parameters)[:4] == ["split", "size", "seed", "hands"]
    assert module.images(module.SIZE, **more(dataset)) > 0


@pytest.mark.parametrize("dataset", WRITERS)
def test_nothing_is_written_over(dataset, tmp_path):
    module = writer(dataset)
    (tmp_path / "meta.json").write_text("official")
    with pytest.raises(InvalidError, match="not empty"):
        module.write(tmp_path, module.SIZE, 0, synthetic_hand, lambda steps=1: None, **more(dataset))
    assert [path.name for path in tmp_path.iterdir()] == ["meta.json"]
    assert (tmp_path / "meta.json").read_text() == "official"


@pytest.mark.parametrize("dataset", WRITERS)
def test_a_set_of_nothing_is_refused(dataset, tmp_path):
    with pytest.raises(UsageError):
        writer(dataset).write(tmp_path / "new", Size(), 0, synthetic_hand, lambda steps=1: None, **more(dataset))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("dataset", ["freihand", "ge-realworld", "hanco", "rhd"])
def test_as_many_images_are_counted_as_are_written(dataset, tmp_path):
    module = writer(dataset)
    told: list[int] = []
    module.write(tmp_path / "set", small(module), 0, synthetic_hand, told.append)
    assert sum(told) == module.images(small(module))
    again: list[int] = []
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "set").rglob("*.jpg")}
    module.write(tmp_path / "set", small(module), 0, synthetic_hand, again.append)
    assert sum(again) == sum(told)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "set").rglob("*.jpg")} == kept


def test_the_truth_of_a_split_has_its_id_and_its_dataset():
    for dataset in ("freihand", "hanco", "rhd"):
        module = writer(dataset)
        split = list(datasets.find(dataset).CARD.splits)[-1]
        hands = module.truth(split, small(module), 0, synthetic_hand)
        assert isinstance(hands, Hands)
        assert all(name.startswith(f"{dataset}/{split}/") for name in hands.id)


def test_an_unknown_writer_is_a_usage_error():
    with pytest.raises(UsageError, match="writer"):
        writer("freihnd")

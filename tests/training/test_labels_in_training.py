"""A method that wants labels finds them in its batches; the others find none and need no file."""

from __future__ import annotations

import pytest
import torch

from handbench.errors import InvalidError
from handbench.inference.checkpoint import read_checkpoint
from handbench.preparation.labels import labels_file, read_labels
from handbench.training import train as training
from handbench.training.train import train
from tests.conftest import freihand_layout  # noqa: F401
from tests.training.test_loop import Toy, file, make_plan  # noqa: F401


class Labelled(Toy):
    """Keeps what it was shown."""

    labels = ("background", "gesture")
    views = 2
    non_hands = 0.5
    seen: list[dict] = []  # noqa: RUF012

    def losses(self, output, batch):
        kept = ("index", "hand", "background", "gesture")
        self.seen.append({key: batch[key].clone() for key in kept if key in batch})
        return super().losses(output, batch)


@pytest.fixture
def run(monkeypatch):
    def begin(plan, toy):
        monkeypatch.setattr(training, "build_method", lambda plan: toy)
        toy.seen = []
        train(plan, torch.device("cpu"))
        return toy.seen

    return begin


def test_they_are_made_at_the_start_and_reach_the_losses(file, tmp_path, run, capsys):  # noqa: F811
    seen = run(make_plan(file, tmp_path / "run"), Labelled())
    path = labels_file(file.path)
    assert "Labelling backgrounds and gestures by rule" in capsys.readouterr().err
    expected = read_labels(path, file)
    known = 0
    for batch in seen:
        for name in Labelled.labels:
            assert batch[name].dtype == torch.int64
            wanted = torch.from_numpy(expected[name])[batch["index"]]
            wanted[~batch["hand"]] = -1
            assert torch.equal(batch[name], wanted)
            known += int((wanted >= 0).sum())
    assert known
    # the next run reads them
    before = path.stat().st_mtime_ns
    run(make_plan(file, tmp_path / "other", seed=1), Labelled())
    assert path.stat().st_mtime_ns == before
    assert "Labelling" not in capsys.readouterr().err


def test_a_method_without_labels_makes_none(file, tmp_path, run):  # noqa: F811
    run(make_plan(file, tmp_path / "run"), Toy())
    assert not labels_file(file.path).exists()
    assert read_checkpoint(tmp_path / "run/last.pt")["about"]["labels"] is None


def test_a_run_does_not_go_on_with_other_labels(file, tmp_path, run):  # noqa: F811
    run(make_plan(file, tmp_path / "run"), Labelled())
    # trained to its end: the same command has nothing to do
    assert run(make_plan(file, tmp_path / "run"), Labelled()) == []
    path = labels_file(file.path)
    head, first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([head, first.rpartition(",")[0] + ",rock", *rest, ""]))
    with pytest.raises(InvalidError, match="other labels of its data"):
        run(make_plan(file, tmp_path / "run"), Labelled())


def test_labels_that_do_not_fit_stop_before_anything_is_deleted(file, tmp_path, run):  # noqa: F811
    run(make_plan(file, tmp_path / "run"), Labelled())
    labels_file(file.path).write_text("id,background,gesture\n")
    with pytest.raises(InvalidError, match="has no row for"):
        run(make_plan(file, tmp_path / "run"), Labelled())
    assert (tmp_path / "run/best.pt").exists()

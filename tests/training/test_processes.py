"""What several processes share out, and what is said where they cannot."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from handbench.console import speaks
from handbench.errors import EXIT_INTERRUPTED, InvalidError, MissingError, UsageError
from handbench.recipe import Data, Train, load_recipe
from handbench.training import processes as module
from handbench.training.augmented import AugmentedCrops
from handbench.training.batches import batches_of, check_sharing
from handbench.training.processes import Processes, one_answer, own_device, processes
from handbench.training.step import freeze_batchnorm
from tests.conftest import freihand_layout  # noqa: F401
from tests.training.test_loop import Toy, file  # noqa: F401


@pytest.fixture
def second_of(monkeypatch):
    """This process as torchrun starts the second one of several."""

    def begin(count: int) -> None:
        for name, value in {"RANK": 1, "WORLD_SIZE": count, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": count}.items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.setattr(module, "PATIENCE_S", 0.0)

    return begin


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("total", [1, 2, 7, 12])
def test_each_sample_is_in_one_share(total, count):
    shares = [Processes(rank, count).share(total) for rank in range(count)]
    counts = Processes(0, count).counts(total)
    assert [i for share, n in zip(shares, counts, strict=True) for i in share[:n]] == list(range(total))
    assert max(counts) - min(counts) <= 1
    # one without a share has a stand-in
    assert all(len(share) == max(n, 1) for share, n in zip(shares, counts, strict=True))


def test_processes_load_together_what_one_loads(file):  # noqa: F811
    """Augmented alike, and with the same patches beside the hands."""
    data = AugmentedCrops(file, Data(rotation=40, colour=0.2), np.arange(len(file)), Toy(), 0)
    data.non_hands = 0.7
    items = [3, 8, 1, 12, 5]
    whole = data.__getitems__(items)
    assert len(whole) == data.entries(len(items)) == 9
    parts = []
    for rank in range(2):
        data.processes = Processes(rank, 2)
        parts += data.__getitems__(items)
    assert [int(part["hand"][0]) for part in parts] == 5 * [1] + 4 * [0]
    for one, other in zip(whole, parts, strict=True):
        assert all(np.array_equal(one[key], other[key], equal_nan=True) for key in one)


def test_alone_unless_all_of_torchruns_variables_are_there(monkeypatch, second_of):
    assert processes() == Processes()
    assert speaks()
    second_of(2)
    assert processes() == Processes(1, 2, 1, 2)
    assert not speaks()
    monkeypatch.delenv("LOCAL_RANK")
    assert not processes().several


def test_the_last_batch_has_two_for_each_process_unless_batch_norms_are_frozen():
    order, toy = np.arange(11), Toy()
    lengths = {
        (count, frozen): [len(b) for b in batches_of(order, Train(batch=4, frozen_batchnorm=frozen), toy, count)]
        for count in (1, 2)
        for frozen in (False, True)
    }
    assert lengths == {(1, False): [4, 4, 3], (1, True): [4, 4, 3], (2, False): [4, 7], (2, True): [4, 4, 3]}
    with pytest.raises(InvalidError, match="share of one of 2 processes") as found:
        batches_of(order, Train(batch=2), toy, 2)
    assert found.value.hint == "Batch normalisation needs train.batch=4, or train.frozen_batchnorm=true."
    batches_of(order, Train(batch=2, frozen_batchnorm=True), toy, 2)


def test_a_batch_that_cannot_be_shared_evenly_is_refused():
    check_sharing(Train(batch=7), Toy(), 1)
    check_sharing(Train(batch=6), Toy(), 3)
    with pytest.raises(UsageError, match=r"train\.batch=7 is the batch of all 3") as found:
        check_sharing(Train(batch=7), Toy(), 3)
    assert found.value.hint == "Set train.batch=6 or 9."
    with pytest.raises(UsageError) as found:
        check_sharing(Train(batch=2), Toy(), 3)
    assert found.value.hint == "Set train.batch=3."


def test_each_process_has_a_gpu_of_its_own_or_is_told_of_too_few(monkeypatch, second_of):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    second_of(2)
    assert own_device("cuda") == torch.device("cuda:1")
    assert own_device("cpu") == torch.device("cpu")
    with pytest.raises(UsageError, match="cuda:0 is a single GPU") as found:
        own_device("cuda:0")
    assert found.value.hint == "--device cuda gives each process its own."
    second_of(4)
    for name in ("cuda", "auto"):
        with pytest.raises(MissingError, match=r"started 4 processes on this machine.* are 2") as found:
            own_device(name)
        assert found.value.hint == "Use --nproc-per-node 2, or --device cpu."


def test_a_broken_connection_is_said_in_a_sentence_and_nothing_else_is_taken_for_one(second_of):
    lost = RuntimeError("[../third_party/gloo/gloo/transport/tcp/pair.cc:553] Connection closed by peer")
    with pytest.raises(RuntimeError, match="gloo"), one_answer():
        raise lost
    second_of(2)
    with pytest.raises(MissingError, match="Another process"), one_answer():
        raise lost
    with pytest.raises(RuntimeError, match="sizes"), one_answer():
        raise RuntimeError("sizes do not match")
    with pytest.raises(SystemExit) as stop, one_answer():
        raise KeyboardInterrupt
    assert stop.value.code == EXIT_INTERRUPTED


def test_frozen_batch_norms_keep_their_statistics_and_still_learn():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)).train()
    freeze_batchnorm(net)
    net(torch.randn(8, 3)).sum().backward()
    assert torch.equal(net[1].running_mean, torch.zeros(4))
    assert net[1].weight.grad is not None
    assert net[2].training


def test_a_frozen_recipe_is_another_one():
    assert load_recipe("dahyf").digest() != load_recipe("dahyf", sets=["train.frozen_batchnorm=true"]).digest()

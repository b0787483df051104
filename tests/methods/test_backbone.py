"""The feature pyramid, and which files its weights may come from."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from handbench.errors import InvalidError, MissingError, UsageError
from handbench.methods.blocks.backbone import ResNet, weights_file


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("resnet18", (64, 64, 128, 256, 512)),
        ("resnet50", (64, 256, 512, 1024, 2048)),
        ("resnet10t", (64, 64, 128, 256, 512)),
    ],
)
def test_the_pyramid_has_the_papers_shapes(name, channels):
    net = ResNet(name).eval()
    assert net.channels == channels
    with torch.no_grad():
        pyramid = net(torch.zeros(1, 3, 64, 64))
    assert [tuple(f.shape[1:]) for f in pyramid] == [
        (c, s, s) for c, s in zip(channels, (16, 16, 8, 4, 2), strict=True)
    ]


def test_weights_come_from_a_file_and_its_classifier_is_left_out(tmp_path):
    torch.manual_seed(1)
    source = ResNet("resnet18")
    state = {**source.state_dict(), "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    save_file(state, tmp_path / "mine.safetensors")
    torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, tmp_path / "mine.pt")
    for path in ("mine.safetensors", "mine.pt"):
        net = ResNet("resnet18")
        before = net.layer4[1].conv2.weight.clone()
        net.load("none")
        assert torch.equal(net.layer4[1].conv2.weight, before)
        net.load(str(tmp_path / path))
        assert torch.equal(net.layer4[1].conv2.weight, source.layer4[1].conv2.weight)
    with pytest.raises(InvalidError, match="not hold the weights of a resnet34"):
        ResNet("resnet34").load(str(tmp_path / "mine.safetensors"))


def test_imagenet_names_a_place(tmp_path, monkeypatch):
    monkeypatch.setenv("HANDBENCH_HOME", str(tmp_path))
    assert weights_file("imagenet", "resnet50") == tmp_path / "data" / "resnet50-imagenet.safetensors"
    with pytest.raises(MissingError, match="resnet18-imagenet") as caught:
        ResNet("resnet18").load("imagenet")
    assert "model.backbone.weights=none" in caught.value.hint


class Runs:
    """Unpickling it runs code."""

    def __reduce__(self):
        return (print, ("the gate is open",))


def test_a_file_that_would_run_code_is_refused(tmp_path, capsys):
    torch.save({"conv1.weight": Runs()}, tmp_path / "evil.pt")
    with pytest.raises(InvalidError, match=r"evil\.pt"):
        ResNet("resnet18").load(str(tmp_path / "evil.pt"))
    torch.save({"conv1.weight": torch.zeros(1), "epoch": 3}, tmp_path / "more.pt")
    with pytest.raises(InvalidError, match="more than tensors"):
        ResNet("resnet18").load(str(tmp_path / "more.pt"))
    assert "gate" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["resnet17", "vit_base_patch16_224"])
def test_an_unknown_backbone_is_named(name):
    with pytest.raises(UsageError, match=name):
        ResNet(name)

"""Backbones of timm, and the ImageNet weights that they may start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from handbench import places
from handbench.errors import InvalidError, MissingError, UsageError
from handbench.methods.base import ModelConfig
from handbench.methods.blocks.constants import once
from handbench.methods.blocks.torchvision_shim import import_with_torchvision

# of RGB in 0..1, as timm's weights expect it
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def imagenet_normalised(image: Tensor) -> Tensor:
    """uint8 RGB (B,3,S,S) -> float32 with ImageNet's mean and standard deviation."""
    mean, std = _imagenet(image.device).unbind()
    return (image.float() / 255.0 - mean) / std


@once
def _imagenet(device: torch.device) -> Tensor:
    """Mean and standard deviation (2,3,1,1)."""
    return torch.tensor([IMAGENET_MEAN, IMAGENET_STD], dtype=torch.float32, device=device)[..., None, None]


class BackboneConfig(ModelConfig):
    """`weights`: `none`, `imagenet` (data/NAME-imagenet.safetensors in HANDBENCH_HOME) or a file."""

    name: str = "resnet50"
    weights: str = "none"


class Pyramid(NamedTuple):
    """Features of an image S pixels wide: f0 (stem after max-pool) and f1 S/4, f2 S/8, f3 S/16, f4 S/32 wide."""

    f0: Tensor
    f1: Tensor
    f2: Tensor
    f3: Tensor
    f4: Tensor


class ResNet(nn.Module):
    """A ResNet of timm (`resnet18`, `resnet34`, `resnet50`, ...) without its classifier; `channels` of f0..f4."""

    channels: tuple[int, int, int, int, int]

    def __init__(self, name: str = "resnet50"):
        super().__init__()
        timm = import_with_torchvision("timm")
        if not name.startswith("resnet") or name not in timm.list_models("resnet*"):
            raise UsageError(f"There is no backbone {name!r}.", "Use resnet18, resnet34, resnet50, resnet101, ...")
        net = timm.create_model(name, pretrained=False, num_classes=0, global_pool="")
        if not all(hasattr(net, part) for part in ("conv1", "bn1", "act1", "maxpool", "layer4")):
            raise UsageError(f"{name} has not the parts of a ResNet.", "Use resnet18, resnet34, resnet50, ...")
        self.name = name
        self.conv1, self.bn1, self.act1, self.maxpool = net.conv1, net.bn1, net.act1, net.maxpool
        self.layer1, self.layer2, self.layer3, self.layer4 = net.layer1, net.layer2, net.layer3, net.layer4
        widths = [info["num_chs"] for info in net.feature_info]
        self.channels = (widths[0], *widths[1:5])

    def forward(self, image: Tensor) -> Pyramid:
        f0 = self.maxpool(self.act1(self.bn1(self.conv1(image))))
        f1 = self.layer1(f0)
        f2 = self.layer2(f1)
        f3 = self.layer3(f2)
        return Pyramid(f0, f1, f2, f3, self.layer4(f3))

    def load(self, weights: str) -> None:
        load_weights(self, weights, self.name)


class FeatureNet(nn.Module):
    """A network of timm without its classifier: image (B,3,S,S) -> its last feature map (B,channels,S/32,S/32).

    `hrnet_w64` has, as in CLIFF, the head that joins its four resolutions to 2048 channels.
    """

    def __init__(self, name: str = "resnet50"):
        super().__init__()
        timm = import_with_torchvision("timm")
        if not name.startswith(("resnet", "hrnet")) or name not in timm.list_models(["resnet*", "hrnet*"]):
            raise UsageError(f"There is no backbone {name!r}.", "Use resnet18, resnet50, hrnet_w64, ...")
        self.name = name
        self.net = timm.create_model(name, pretrained=False, num_classes=0, global_pool="")
        self.channels: int = self.net.num_features

    def forward(self, image: Tensor) -> Tensor:
        return self.net(image)

    def load(self, weights: str) -> None:
        load_weights(self.net, weights, self.name)


def load_weights(net: nn.Module, weights: str, name: str) -> None:
    """Start from `weights`: `none`, `imagenet` (`data/NAME-imagenet.safetensors` in HANDBENCH_HOME) or a file.

    The file holds a state dict under timm's names; a classifier in it is left out.
    """
    path = weights_file(weights, name)
    if path is None:
        return
    state = read_state(path, f"Put timm's {name} there, or train from scratch: model.backbone.weights=none.")
    state = {key: value for key, value in state.items() if not key.startswith(("fc.", "classifier."))}
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise InvalidError(
            f"{path} does not hold the weights of a {name}.", str(error).partition("\n")[2].strip()[:300]
        ) from error


def weights_file(weights: str, name: str) -> Path | None:
    """The file that `backbone.weights` means; None for `none`."""
    if weights == "none":
        return None
    return places.home() / "data" / f"{name}-imagenet.safetensors" if weights == "imagenet" else Path(weights)


def read_state(path: Path, hint: str, hint_unsafe: str = "Convert it to safetensors.") -> dict[str, Tensor]:
    """A state dict from safetensors, or from a file of torch.save that holds tensors and nothing else.

    Raises MissingError with `hint`, or InvalidError with `hint_unsafe` for what would have to be unpickled or run.
    """
    if not path.is_file():
        raise MissingError(f"There are no weights at {path}.", hint)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    # torch and safetensors raise half a dozen kinds of errors for a file that is not theirs
    except Exception as error:
        raise InvalidError(f"{path} is no plain file of weights ({type(error).__name__}).", hint_unsafe) from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InvalidError(f"{path} holds more than tensors by name.", hint_unsafe)
    return {key.removeprefix("module."): value for key, value in state.items()}

"""What a trained CLIP-Hand3D has inside: the logits of poses against prompts, and the heat-maps that it lifts.

Arrays out, on the CPU: a picture takes a handful of samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import default_collate

from handbench.errors import InvalidError, UsageError
from handbench.hands.joints import MIDDLE_MCP, WRIST
from handbench.inference.checkpoint import file_digest, hand_of, load_into, read_checkpoint
from handbench.inference.predict import crops_for
from handbench.methods.base import Batch
from handbench.methods.clip_hand3d import ClipHand3D
from handbench.methods.clip_hand3d.heatmaps import planes
from handbench.methods.clip_hand3d.prompts import describe, sample_joints, template_of
from handbench.places import row_label
from handbench.sections import did_you_mean
from handbench.store.hands_file import HandsFile

# which joints a prompt names, where it does not name all: always the same
DRAW = 0


@dataclass(frozen=True)
class Logits:
    """n samples: ids (n,); images (n,S,S,3) uint8 RGB; of each axis (x, y, z) the n prompts, the scale s (3,) and the
    logits (3,n,n) of eq. 3, s · cosine: poses are rows, prompts are columns.
    """

    ids: list[str]
    images: NDArray
    prompts: list[list[str]]
    scales: NDArray
    logits: NDArray


@dataclass(frozen=True)
class Planes:
    """n samples: ids (n,); images (n,S,S,3) uint8 RGB; joints (n,21,3) in uvd, [0, 1] along each axis of the crop; maps
    (n,3,s,s): the largest of the joints' Gaussians in xy, xz and yz, [row, column], the first letter is the column.
    """

    ids: list[str]
    images: NDArray
    joints: NDArray
    maps: NDArray


class Trained:
    """A checkpoint of CLIP-Hand3D and its model in evaluation mode; `text`: with the text branch.

    Raises UsageError for another method, and where a text branch is wanted and the checkpoint has none; MissingError
    for weights of CLIP that are not there.
    """

    def __init__(self, checkpoint: Path, method: str, *, text: bool):
        if method != ClipHand3D.name:
            raise UsageError(f"{method} has no such picture: it is of {ClipHand3D.name}.", f"Give {ClipHand3D.name}.")
        record = read_checkpoint(checkpoint, method=method)
        self.about: dict[str, Any] = record["about"]
        self.row = {"method": method, "weights": record["weights"]}
        self.row |= {key: self.about[key] for key in ("variant", "size", "seed")}
        self.name = f"{method}-{row_label(self.about['variant'], self.about['size'])}-{self.about['seed']}"
        self.digest = file_digest(checkpoint)
        if text and not any(key.startswith("contrast.") for key in record["state"]):
            raise UsageError(
                f"{checkpoint} has no text branch: it was trained without CLIP.",
                "Take a variant that has it, such as --variant full.",
            )
        self.model = _model(record, text)

    def batch(self, truth: HandsFile, index: NDArray) -> Batch:
        """The samples `index` as at inference: not augmented, of the truth only what the method is given."""
        crops = crops_for(self.model, truth, self.about["margin"], index)
        return default_collate([crops[i] for i in range(len(crops))])

    def outputs(self, batch: Batch) -> dict[str, Tensor]:
        return self.model(self.model.normalise(batch["image"]), batch)


@torch.inference_mode()
def logits(trained: Trained, truth: HandsFile, count: int) -> Logits:
    """The logits of `count` samples, evenly spread over those of which a prompt can be made.

    Raises UsageError for fewer than 2, InvalidError where the truth does not have them.
    """
    if count < 2:
        raise UsageError(
            f"{count} sample{'s' * (count != 1)}: there is nothing to tell apart.", "Give --samples 2 or more."
        )
    joints, valid = _annotated(truth)
    # the model is given wrist and bone length
    usable = np.flatnonzero(valid[:, [WRIST, MIDDLE_MCP]].all(1))
    if len(usable) < 2:
        raise InvalidError(
            f"{truth.path} has fewer than 2 samples with annotated joints: there is nothing to tell apart.",
            "Give a file with published truth: --data FILE.h5.",
        )
    index = usable[spread(len(usable), count)]
    model, batch = trained.model, trained.batch(truth, index)
    contrast, text = model.contrast, model.text
    assert contrast is not None
    assert text is not None
    output, clip = trained.outputs(batch), model.config.clip
    generator = torch.Generator().manual_seed(DRAW)
    chosen = sample_joints(torch.from_numpy(valid[index]), clip.n_joints, generator)
    prompts = describe(torch.from_numpy(joints[index]), batch["rotation"], chosen, template_of(clip))
    found = []
    for axis, name in enumerate(("x", "y", "z")):
        pose = F.normalize(contrast.pose[axis](output[name].flatten(1)).float(), dim=-1)
        words = F.normalize(contrast.encode_text(axis, prompts[axis], text, pose.device).float(), dim=-1)
        found.append(contrast.scales()[axis] * pose @ words.T)
    ids = truth.ids[index].tolist()
    return Logits(ids, _images(batch), prompts, contrast.scales().numpy(), torch.stack(found).numpy())


@torch.inference_mode()
def heatmap_planes(trained: Trained, truth: HandsFile, samples: Sequence[str], count: int) -> Planes:
    """The heat-maps of the named `samples` (ids, or places in the file), or of `count` that are evenly spread."""
    index = np.array([place_of(truth, name) for name in samples]) if samples else spread(len(truth), count)
    if not len(index):
        raise UsageError("No sample is to be drawn.", "Give --samples 1 or more.")
    batch = trained.batch(truth, index)
    joints = trained.outputs(batch)["joints"].float()
    maps = joint_planes(joints, trained.model.config.input // 4, trained.model.config.sigma)
    return Planes(truth.ids[index].tolist(), _images(batch), joints.numpy(), maps.numpy())


def joint_planes(uvd: Tensor, size: int, sigma: float) -> Tensor:
    """Joints (B,J,3) in [0, 1] -> (B,3,size,size): in each plane the largest of the joints' Gaussians.

    Not their sum: a joint that stands alone is as bright as two that overlap.
    """
    return planes(uvd, size, sigma).unflatten(1, (3, uvd.shape[1])).amax(2)


def spread(n: int, count: int) -> NDArray:
    """At most `count` places of n, evenly spread, ascending."""
    return np.unique(np.linspace(0, n - 1, max(0, min(n, count))).astype(int))


def place_of(truth: HandsFile, name: str) -> int:
    """The place of a sample by its id, or by that place itself; raises UsageError with a suggestion."""
    found = np.flatnonzero(truth.ids == name)
    if len(found):
        return int(found[0])
    if name.isdecimal() and int(name) < len(truth):
        return int(name)
    suggestion = did_you_mean(name, truth.ids.tolist()) or "."
    raise UsageError(
        f"{truth.path} has no sample {name!r}{suggestion}",
        f"Give one of its ids, such as {truth.ids[0]}, or a number from 0 to {len(truth) - 1}."
        if len(truth)
        else "It is empty.",
    )


def _model(record: dict[str, Any], text: bool) -> ClipHand3D:
    config = ClipHand3D.Config.model_validate(record["config"])
    model = ClipHand3D(config, hand_of(record), record["about"]["fingertips"])
    if text:
        # the backbone's weights are the checkpoint's: what training started from need not be here
        model.begin_training(pretrained=False)
    load_into(model, record)
    return model.eval()


def _annotated(truth: HandsFile) -> tuple[NDArray, NDArray]:
    """All joints (N,21,3) m, 0 where not annotated, and which are (N,21) bool; raises InvalidError without any."""
    if "joints" not in truth.fields:
        raise InvalidError(
            f"{truth.path} has no joints, and the prompts say how the joints lie.",
            "Give a file with published truth: --data FILE.h5.",
        )
    joints = truth.column("joints")
    valid = np.isfinite(joints).all(-1)
    if "joints_valid" in truth.fields:
        valid &= truth.column("joints_valid")
    return np.where(valid[..., None], joints, 0.0), valid


def _images(batch: Batch) -> NDArray:
    return batch["image"].permute(0, 2, 3, 1).contiguous().numpy()

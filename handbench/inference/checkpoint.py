"""A checkpoint is complete on its own: the method, its configuration, its hand model, its weights, where it is from.

It holds tensors, numbers and text only and is read with `weights_only=True`. The hand model's arrays travel in it: a
checkpoint trained with MANO carries MANO's arrays, and MANO's licence with them.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import torch

from handbench.errors import InvalidError, MissingError
from handbench.hands.mano import MANO_ARRAYS, HandModel
from handbench.methods import find
from handbench.methods.base import Method
from handbench.store.atomic import replacing

FORMAT = "handbench-checkpoint-1"


def save_checkpoint(path: Path, method: Method, hand: HandModel, about: dict[str, Any], **state: Any) -> None:
    """Write atomically. `about` is the record (recipe, data, seed, fingertips); `state` what only training needs."""
    record = {
        "format": FORMAT,
        "method": method.name,
        "config": method.config.model_dump(mode="json"),
        "weights": method.weights,
        "hand": {
            "side": hand.side,
            "source": hand.source,
            **{name: torch.from_numpy(array) for name, array in hand.arrays().items()},
        },
        "about": about,
        "state": method.state_dict(),
        **state,
    }
    # in memory first: torch does not say why it could not write a file
    buffer = io.BytesIO()
    torch.save(record, buffer)
    with replacing(path) as part:
        part.write_bytes(buffer.getbuffer())


def read_checkpoint(path: Path, *, method: str | None = None) -> dict[str, Any]:
    """The record of a checkpoint; raises MissingError, or InvalidError where it is damaged or another method's."""
    if not path.is_file():
        raise MissingError(f"There is no checkpoint {path}.", f"`handbench train {method or 'METHOD'}` makes it.")
    try:
        record = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise InvalidError(
            f"{path} is not a checkpoint that can be read safely: it is damaged, cut short, or holds code.",
            "Train again, or fetch it again.",
        ) from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise InvalidError(f"{path} was not written by handbench.", "Give a checkpoint of `handbench train`.")
    if method is not None and record["method"] != method:
        raise InvalidError(
            f"{path} is a checkpoint of {record['method']}, not of {method}.",
            f"Use `handbench predict {record['method']}`.",
        )
    return record


def hand_of(record: dict[str, Any]) -> HandModel:
    """The hand model that travels in a checkpoint."""
    saved = record["hand"]
    arrays = {name: saved[name].numpy() for name in MANO_ARRAYS}
    return HandModel(side=saved["side"], source=saved["source"], **arrays)


def build(record: dict[str, Any]) -> Method:
    """The method of a checkpoint, weights loaded, in evaluation mode; raises InvalidError where they do not fit."""
    cls = find(record["method"])
    method = cls(cls.Config.model_validate(record["config"]), hand_of(record), record["about"]["fingertips"])
    load_into(method, record)
    return method.eval()


def load_into(method: Method, record: dict[str, Any]) -> None:
    """The checkpoint's weights into a method of its kind; raises InvalidError where they do not fit."""
    try:
        method.load_state_dict(record["state"])
    except RuntimeError as error:
        raise InvalidError(
            f"The checkpoint does not fit this version's {method.name}.", str(error).splitlines()[-1].strip()
        ) from error


def file_digest(path: Path) -> str:
    """Twelve hex digits of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]

"""A method over a prepared split -> predictions.h5: the only place where a model meets a test set."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch.utils.data import DataLoader

from handbench.console import progress, say, warn
from handbench.errors import InvalidError
from handbench.hands.record import Hands
from handbench.inference.checkpoint import build, file_digest, read_checkpoint
from handbench.inference.crops import Crops, to_device
from handbench.inference.window_crops import WindowCrops
from handbench.methods.base import Method
from handbench.places import row_label
from handbench.store.hands_file import HandsFile
from handbench.store.parts import Parts
from handbench.store.records import made


def predict(
    checkpoint: Path, truth: HandsFile, out: Path, *, method: str | None, device: torch.device, batch: int, workers: int
) -> HandsFile:
    """Run the checkpoint's method over every sample of `truth` into `out`; resumes where an earlier run was stopped."""
    record = read_checkpoint(checkpoint, method=method)
    model = build(record).to(device)
    _require_occlusion(model, truth)
    about = record["about"]
    digest = file_digest(checkpoint)
    meta: dict[str, Any] = {
        "dataset": truth.meta["dataset"],
        "split": truth.meta["split"],
        "truth_digest": truth.digest(),
        "truth_source": truth.meta["source"],
        "method": record["method"],
        "variant": about["variant"],
        "size": about["size"],
        "seed": about["seed"],
        "given": [name for name in model.given if name != "box" or about["margin"]],
        "weights": record["weights"],
        "pretrained": about.get("pretrained"),
        "trained_on": about["trained_on"],
        "checkpoint": digest,
        "recipe": about["recipe_digest"],
        "fingertips": about["fingertips"],
        "hand_model": about["hand_model"],
        "joint_source": model.joint_source,
        "changed": about["changed"],
        "labels": about.get("labels"),
        "samples": about["samples"],
        "batch": batch,
        "dtype": "float32",
        "passes": 1,
        "device": str(device),
    }
    whole = Parts(out, len(truth), {"checkpoint": digest, "truth": truth.digest(), "batch": batch})
    if (file := whole.finished()) is not None:
        say(f"{out} is predicted already.")
        return file
    if "box" in meta["given"] and (without := _without_box(truth)):
        warn(f"{without:,} images have no hand box, and perhaps no hand: the whole image is taken.")
        meta["without_box"] = without
    with whole as parts:
        # one for all blocks: windows reach beyond a block, and so does what they keep decoded
        crops = crops_for(model, truth, about["margin"])
        todo = parts.todo()
        done = len(truth) - sum(stop - start for start, stop in todo)
        with progress(f"predict {out.stem}", len(truth), "images", done) as advance:
            for start, stop in todo:
                hands = predict_in_memory(model, crops.only(np.arange(start, stop)), device, batch, workers)
                if not model.knows_vertices(about["mesh"]):
                    # nothing ever told the network where they are: they are nobody's answer
                    hands = hands.replace(vertices=None)
                parts.write(start, hands, None)
                advance(stop - start)
        return parts.finish({**meta, "made": made()})


def _without_box(truth: HandsFile) -> int:
    """How many samples have no box, as where no joint is annotated."""
    return int((~np.isfinite(truth.column("box")).all(1)).sum()) if "box" in truth.fields else 0


def _require_occlusion(model: Method, truth: HandsFile) -> None:
    """Raises InvalidError where the method is given how much of each hand is covered, and the truth never says it."""
    if "occlusion" not in model.given:
        return
    if "visible_fraction" not in truth.fields or np.isnan(truth.column("visible_fraction")).all():
        raise InvalidError(
            f"{truth.path} does not say how much of each hand is covered, which {model.name} is given.",
            "Take a dataset that does, as dexycb or handsynth-video, or a variant that weighs frames otherwise.",
        )


def crops_for(model: Method, file: HandsFile, margin: float, index: NDArray | None = None) -> Crops:
    """The samples of a file as this method sees them at inference.

    Raises InvalidError where it sees windows, and the file has no tracks.
    """
    if model.frames == 1:
        return Crops(file, model.input_size, margin, model.given, index, model.mirrors_left)
    crops = WindowCrops(file, model, margin)
    return crops if index is None else crops.only(index)


def row_of(checkpoint: Path, method: str) -> str:
    """The name of a checkpoint's row: what it is, not what was typed. METHOD-VARIANT[.SIZE]-SEED."""
    about = read_checkpoint(checkpoint, method=method)["about"]
    return f"{method}-{row_label(about['variant'], about['size'])}-{about['seed']}"


def predict_in_memory(model: Method, crops: Crops, device: torch.device, batch: int, workers: int) -> Hands:
    """The hands of these samples, in memory: a block of a file, or what validation while training needs.

    `batch` images at once, in whole windows where the method sees windows.
    """
    parts: dict[str, list[NDArray]] = {}
    found_at: list[NDArray] = []
    batches = _batches(len(crops), max(1, batch // model.frames), workers if model.frames > 1 else 1)
    for loaded in DataLoader(crops, batch_sampler=batches, num_workers=workers, collate_fn=crops.collate):
        prediction = model.predict(to_device(loaded, device))  # type: ignore[arg-type]
        rows, at = crops.answers(loaded)
        found_at.append(at)
        for name, value in prediction._asdict().items():
            if value is not None:
                parts.setdefault(name, []).append(value.cpu().numpy()[rows])
    at = np.concatenate(found_at)
    order = np.argsort(at)[np.searchsorted(np.sort(at), crops.index)]
    found = {name: np.concatenate(values)[order] for name, values in parts.items()}
    rotations = found.pop("mano_rotations", None)
    if rotations is not None:
        vectors = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_rotvec()
        found["mano_pose"] = vectors.reshape(len(rotations), 48)
    return Hands(id=crops.file.ids[crops.index], **found, meta={})


def _batches(count: int, size: int, workers: int) -> list[list[int]]:
    """Items 0..count in batches, so that each of the loader's workers, which take turns, has a stretch of its own:
    what neighbours share is then decoded by one of them.
    """
    batches = [list(range(i, min(i + size, count))) for i in range(0, count, size)]
    stretches = [part.tolist() for part in np.array_split(np.arange(len(batches)), max(workers, 1))]
    turns = zip_longest(*stretches)
    return [batches[i] for turn in turns for i in turn if i is not None]

"""What a run is, before it begins: recipe, data, held-out frames, seed, hand model, folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbench.datasets.holdout import validation_mask
from handbench.errors import InvalidError
from handbench.hands.mano import HandModel
from handbench.inference.checkpoint import file_digest, read_checkpoint
from handbench.recipe import Recipe
from handbench.store.hands_file import HandsFile
from handbench.store.records import made, write_json

# a mesh is numbered like MANO's; where a dataset names no fingertip set, FreiHAND's stands in
DEFAULT_FINGERTIPS = "freihand"
STAGES = ("pretrain", "main")


@dataclass
class Plan:
    """One run. `init` is a checkpoint whose weights are the start (pre-training), not a run to resume."""

    recipe: Recipe
    file: HandsFile
    hand: HandModel
    folder: Path
    seed: int = 0
    init: Path | None = None
    train_index: NDArray = field(init=False)
    validation_index: NDArray = field(init=False)
    about: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        if self.file.meta.get("split") == "test":
            raise InvalidError(f"{self.file.path} is a test split.", "Train on a training split.")
        for name in ("joints", "camera"):
            if name not in self.file.fields:
                raise InvalidError(f"{self.file.path} has no {name}: nothing to train on.", "Prepare it again.")
        held_out = validation_mask(self.file)
        limit = self.recipe.data.limit or len(self.file)
        self.train_index = np.flatnonzero(~held_out)[:limit]
        self.validation_index = np.flatnonzero(held_out)
        if not len(self.train_index):
            raise InvalidError(f"{self.file.path} has no sample to train on.", "Prepare more samples.")
        meta = self.file.meta
        self.about = {
            "variant": self.recipe.variant,
            "size": self.recipe.size,
            "seed": self.seed,
            "recipe": self.recipe.model_dump(mode="json"),
            "recipe_digest": self.recipe.digest(),
            "data": f"{meta['dataset']}/{meta['split']}" + (" (partial)" if meta["partial"] else ""),
            "data_digest": self.file.digest(),
            "data_source": meta["source"],
            "samples": len(self.train_index),
            "validation_samples": len(self.validation_index),
            "margin": self.recipe.data.margin,
            "fingertips": meta["fingertips"] or DEFAULT_FINGERTIPS,
            "hand_model": f"{self.hand.source} {self.hand.digest()}",
            "pretrained": None,
            "init": file_digest(self.init) if self.init else None,
        }
        if self.init:
            earlier = read_checkpoint(self.init, method=self.recipe.method)["about"]
            self.about["pretrained"] = earlier["data"]

    def begin(self, restart: bool) -> bool:
        """Make the folder and its `run.json`; returns False where the run is already finished.

        Raises InvalidError where the folder holds a run of something else.
        """
        last = self.folder / "last.pt"
        if restart and self.folder.exists():
            shutil.rmtree(self.folder)
        finished = last.exists() and bool(self.read_own(last).get("finished"))
        self.folder.mkdir(parents=True, exist_ok=True)
        if not finished:
            write_json(self.folder / "run.json", {**self.about, "made": made()})
        return not finished

    def read_own(self, path: Path) -> dict[str, Any]:
        """A checkpoint of this very run; raises InvalidError where recipe, data, seed or start differ."""
        record = read_checkpoint(path, method=self.recipe.method)
        for key, what in (
            ("recipe_digest", "another recipe"),
            ("data_digest", "other data"),
            ("seed", "another seed"),
            ("init", "other starting weights"),
            ("hand_model", "another hand model"),
        ):
            if record["about"][key] != self.about[key]:
                raise InvalidError(
                    f"{self.folder} holds a run with {what}.", "Use --restart to replace it, or another --seed."
                )
        return record

    def forget_after(self, stage: str, epoch: int) -> None:
        """Drop the log's lines of epochs that a killed run finished after its last checkpoint: they come again."""
        path = self.folder / "log.jsonl"
        if path.exists():
            at = (STAGES.index(stage), epoch)
            lines = path.read_text().splitlines()
            kept = [line for line in lines if (STAGES.index((e := json.loads(line))["stage"]), e["epoch"]) <= at]
            path.write_text("".join(f"{line}\n" for line in kept))

    def log(self, **values: Any) -> None:
        """One line of `log.jsonl` an epoch."""
        with open(self.folder / "log.jsonl", "a") as file:
            file.write(json.dumps(values) + "\n")

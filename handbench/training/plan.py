"""What a run is, before it begins: recipe, data, held-out frames, seed, hand model, folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbench import places
from handbench.console import say
from handbench.datasets.holdout import validation_mask
from handbench.errors import InvalidError, MissingError
from handbench.evaluation.result import THEN
from handbench.hands.mano import HandModel
from handbench.inference.checkpoint import file_digest, read_checkpoint
from handbench.preparation.labels import labels_digest, labels_file, read_labels, write_labels
from handbench.recipe import Recipe
from handbench.store.atomic import alone, replacing, saying_why
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
    # of all samples of the file, where the method wants them: name -> (N,)
    labels: dict[str, NDArray] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.file.meta.get("split") == "test":
            raise InvalidError(f"{self.file.path} is a test split.", "Train on a training split.")
        for name in ("joints", "camera"):
            if name not in self.file.fields:
                raise InvalidError(
                    f"{self.file.path} has no {name}: nothing to train on.",
                    "Every crop is cut, and every loss is taken, with both; train on a dataset that has them.",
                )
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
            "changed": list(self.recipe.changed),
            "trained_on": _data_in_words(meta),
            "data_digest": self.file.digest(),
            "samples": len(self.train_index),
            "validation_samples": len(self.validation_index),
            "mesh": "vertices" in self.file.fields,
            "margin": self.recipe.data.margin,
            "fingertips": meta["fingertips"] or DEFAULT_FINGERTIPS,
            "hand_model": f"{self.hand.source} {self.hand.digest()}",
            "pretrained": None,
            "init": None,
            "labels": None,
        }
        if self.init:
            earlier = read_checkpoint(self.init, method=self.recipe.method)["about"]
            self.about["init"] = file_digest(self.init)
            before = [earlier["pretrained"]] if earlier.get("pretrained") else []
            self.about["pretrained"] = THEN.join([*before, earlier["trained_on"]])
            # what was changed in the run that it starts from is changed in this one
            self.about["changed"] += [f"{earlier['variant']}: {text}" for text in earlier["changed"]]
            if self.init != _start_of(self.recipe, self.seed):
                self.about["changed"].append(f"--init {earlier['variant']} {self.about['init']}")
            self.about["mesh"] = self.about["mesh"] or earlier["mesh"]

    def take_labels(self, wanted: tuple[str, ...]) -> None:
        """Read the labels of the data that a method wants, from the CSV beside them; made by rule where there is none.

        Raises InvalidError where that file does not fit the data.
        """
        if not wanted:
            return
        path = labels_file(self.file.path)
        if not path.exists():
            say(f"Labelling backgrounds and gestures by rule, once: {path}")
            write_labels(self.file)
        labels = read_labels(path, self.file)
        self.labels = {name: labels[name] for name in wanted}
        known = np.all([labels[name][self.train_index] >= 0 for name in wanted], axis=0).sum()
        of = f"{known:,} of {len(self.train_index):,} training samples"
        if known < 2:
            raise InvalidError(
                f"Of {of} in {path} both {' and '.join(wanted)} are known: there are no prompts to tell apart.",
                "Label more, by hand or by a detector; or do without: --set model.clip.enabled=false.",
            )
        self.about["labels"] = f"{labels_digest(self.labels)}, known of {of}"

    @property
    def every_index(self) -> NDArray:
        """Every training sample, held-out ones too: for a method that chooses nothing by them."""
        if self.recipe.data.limit:
            return self.train_index
        return np.sort(np.concatenate([self.train_index, self.validation_index]))

    def finished(self) -> bool:
        """Whether the folder has this very run, trained to its end. Raises InvalidError where it has another."""
        last = self.folder / "last.pt"
        done = last.exists() and bool(self.read_own(last).get("finished"))
        return done and (self.folder / "best.pt").exists()

    @contextmanager
    def begun(self, restart: bool) -> Iterator[None]:
        """The folder with its `run.json`, this process's alone within the block.

        Raises InvalidError where another process trains there, or, with `restart`, where the folder is not a run's.
        """
        there = list(self.folder.iterdir()) if self.folder.exists() else []
        if restart and there and not (self.folder / "run.json").exists():
            raise InvalidError(f"{self.folder} is not the folder of a run.", "It is not deleted: choose another.")
        with alone(self.folder, f"Another process trains in {self.folder}."):
            if restart:
                for path in self.folder.iterdir():
                    if path.name != "lock":
                        path.unlink()
            write_json(self.folder / "run.json", {**self.about, "made": made()})
            yield

    def read_own(self, path: Path) -> dict[str, Any]:
        """A checkpoint of this very run; raises InvalidError where recipe, data, seed or start differ."""
        record = read_checkpoint(path, method=self.recipe.method)
        for key, what in (
            ("recipe_digest", "another recipe"),
            ("data_digest", "other data"),
            ("seed", "another seed"),
            ("init", "other starting weights"),
            ("hand_model", "another hand model"),
            ("labels", "other labels of its data"),
        ):
            if record["about"].get(key) != self.about[key]:
                raise InvalidError(
                    f"{self.folder} holds a run with {what}.", "Use --restart to replace it, or another --seed."
                )
        return record

    def forget_after(self, stage: str, epoch: int) -> None:
        """Drop the log's lines of epochs that a killed run finished after its last checkpoint: they come again."""
        path = self.folder / "log.jsonl"
        if path.exists():
            at = (STAGES.index(stage), epoch)
            with replacing(path) as part:
                part.write_text("".join(f"{line}\n" for line in path.read_text().splitlines() if _until(line, at)))

    def log(self, **values: Any) -> None:
        """One line of `log.jsonl` an epoch."""
        path = self.folder / "log.jsonl"
        with saying_why(path), open(path, "a") as file:
            file.write(json.dumps(values) + "\n")


def _until(line: str, at: tuple[int, int]) -> bool:
    """Whether a line of the log is of an epoch up to `at`; one that was cut short is not."""
    try:
        entry = json.loads(line)
    except ValueError:
        return False
    return (STAGES.index(entry["stage"]), entry["epoch"]) <= at


def _data_in_words(meta: dict[str, Any]) -> str:
    """`freihand/train`, and what keeps it from being that."""
    but = [str(meta["source"])] if meta["source"] != "official files" and meta["dataset"] != "synthetic" else []
    but += ["partial"] if meta["partial"] else []
    return f"{meta['dataset']}/{meta['split']}" + (f" ({', '.join(but)})" if but else "")


def starting_weights(recipe: Recipe, seed: int) -> Path | None:
    """The checkpoint that `train.init` names: another variant's, of the same size and seed; None where it names none.

    Raises MissingError with the command that makes it.
    """
    path = _start_of(recipe, seed)
    if path is None:
        return None
    if not path.exists():
        size = "" if recipe.size == "full" else f" --size {recipe.size}"
        raise MissingError(
            f"{recipe.variant} starts from the trained weights of {recipe.train.init}, and there are none at {path}.",
            f"`handbench train {recipe.method} --variant {recipe.train.init}{size}` makes them; or give --init.",
        )
    return path


def _start_of(recipe: Recipe, seed: int) -> Path | None:
    """Where the weights lie that `train.init` names."""
    if recipe.train.init is None:
        return None
    return places.run_folder(recipe.method, places.row_label(recipe.train.init, recipe.size), seed) / "best.pt"

"""One metric of a protocol: its name, what it is measured on, its alignments and its range."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

Alignment = Literal[
    "none",
    "root",
    "root-scale",
    "scale-translation",
    "scale-translation-stb",
    "centroid-scale",
    "rigid",
    "procrustes",
    "procrustes-official",
]
# what a mesh can be moved by: the others are defined on joints
OF_MESHES = ("none", "root", "rigid", "procrustes", "procrustes-official")
# what leaves a whole track as it moves: others move each frame for itself
OF_TRACKS = ("none", "root")

CURVES = ("auc", "auc-vertices")
MESH = ("mpvpe", "auc-vertices", "f-score")
MEDIANS = ("median-pjpe", "median-pjpe-plain")
# made of the error of each joint of a sample
PER_JOINT = ("mpjpe", *MEDIANS, "auc")
IN_TIME = ("acceleration", "jitter")
UNITS = {
    "auc": "",
    "auc-vertices": "",
    "f-score": "",
    "acceleration": "mm/frame^2",
    "jitter": "mm/frame^3",
    "epe-2d": "px",
}


class Metric(BaseModel):
    """One `[[metrics]]` table. `low`, `high`, `threshold` in mm. docs/metrics.md has each one's formula.

    mpjpe, mpvpe                     mean distance of joints, of vertices (prediction and truth of one topology)
    median-pjpe, median-pjpe-plain   mean of the joints' medians, and the median of all errors
    auc, auc-vertices                area under the inclusive PCK curve over linspace(low, high, steps)[skip:]
    f-score                          of the vertex sets, at `threshold`, strict
    acceleration, jitter             within a track; jitter is of the predictions alone
    bone-bias, epe-2d                mean of predicted less true bone lengths; distance in the image, in pixels
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal[
        "mpjpe",
        "mpvpe",
        "median-pjpe",
        "median-pjpe-plain",
        "auc",
        "auc-vertices",
        "f-score",
        "acceleration",
        "jitter",
        "bone-bias",
        "epe-2d",
    ]
    alignments: tuple[Alignment, ...]
    low: float | None = None
    high: float | None = None
    steps: int | None = None
    skip: int = 0
    threshold: float | None = None
    # how the summary calls it, where one protocol has two ranges
    label: str = ""

    @model_validator(mode="after")
    def _complete(self) -> Metric:
        curve, score = self.name in CURVES, self.name == "f-score"
        if curve and (self.low is None or self.high is None or self.steps is None or self.steps < 2):
            raise ValueError(f"{self.name} needs low, high and steps")
        if curve and not 0 <= self.skip <= (self.steps or 0) - 2:
            raise ValueError(f"{self.name} keeps fewer than two of its steps")
        if score and self.threshold is None:
            raise ValueError("f-score needs a threshold")
        if not curve and (self.low, self.high, self.steps, self.skip) != (None, None, None, 0):
            raise ValueError(f"{self.name} takes no range")
        if not score and self.threshold is not None:
            raise ValueError(f"{self.name} takes no threshold")
        for alignment in self.alignments:
            self._require_defined(alignment)
        return self

    def _require_defined(self, alignment: str) -> None:
        defined: tuple[str, ...] | None = None
        if self.of_mesh:
            defined = OF_MESHES
        elif self.name in IN_TIME:
            defined = OF_TRACKS
        elif self.name in ("bone-bias", "epe-2d"):
            defined = ("none",)
        if defined is not None and alignment not in defined:
            raise ValueError(f"{self.name} is not defined under {alignment}; it is under {', '.join(defined)}")

    @property
    def called(self) -> str:
        if self.label:
            return self.label
        return f"f@{self.threshold:g}" if self.name == "f-score" else self.name

    @property
    def of_mesh(self) -> bool:
        return self.name in MESH

    @property
    def unit(self) -> str:
        return UNITS.get(self.name, "mm")

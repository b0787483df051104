"""The official scripts' own figures: their keys, their units, their text."""

from __future__ import annotations

from typing import Any

from handbench.errors import InvalidError
from handbench.evaluation.protocol import Protocol
from handbench.evaluation.result import Result

# FreiHAND's scores.txt, in its order: key -> our metric, alignment, and what a value is multiplied by (mm -> cm)
FREIHAND: dict[str, tuple[str, str, float]] = {
    "xyz_mean3d": ("mpjpe", "none", 0.1),
    "xyz_auc3d": ("auc", "none", 1.0),
    "xyz_al_mean3d": ("mpjpe", "procrustes-official", 0.1),
    "xyz_al_auc3d": ("auc", "procrustes-official", 1.0),
    "mesh_mean3d": ("mpvpe", "none", 0.1),
    "mesh_auc3d": ("auc-vertices", "none", 1.0),
    "mesh_al_mean3d": ("mpvpe", "procrustes-official", 0.1),
    "mesh_al_auc3d": ("auc-vertices", "procrustes-official", 1.0),
    "f_score_5": ("f@5", "none", 1.0),
    "f_al_score_5": ("f@5", "procrustes-official", 1.0),
    "f_score_15": ("f@15", "none", 1.0),
    "f_al_score_15": ("f@15", "procrustes-official", 1.0),
}
FIGURES = {"freihand": FREIHAND}


def official_scores(
    protocol: Protocol, summary: list[dict[str, Any]], mesh: bool, same_topology: bool
) -> dict[str, float]:
    """The official figures (cm; AUC and F 0..1), {} where the protocol follows no official script.

    A mesh of another topology has -1 for its errors and AUC, which the script's conversion to cm makes -100 and -1
    (freihand: eval.py). Without vertices the mesh entries are absent: the official script does not run at all then.
    """
    if protocol.official is None:
        return {}
    values = {(row["metric"], row["alignment"]): float(row["value"]) for row in summary}
    scores = {}
    for key, (metric, alignment, factor) in FIGURES[protocol.official].items():
        if (metric, alignment) in values:
            scores[key] = values[metric, alignment] * factor
        elif mesh and not same_topology:
            scores[key] = -100.0 if metric == "mpvpe" else -1.0
    return scores


def scores_txt(result: Result) -> str:
    """The text of the official scores.txt. Raises InvalidError where there is none: no such script, no vertices."""
    style = result.protocol["definition"].get("official")
    if style is None:
        raise InvalidError(f"The protocol {result.protocol['name']} follows no official script.")
    absent = [key for key in FIGURES[style] if key not in result.official]
    if absent:
        raise InvalidError(
            f"There is no official scores.txt without {absent[0]}.", "The official script needs vertices on both sides."
        )
    return "".join(f"{key}: {result.official[key]:f}\n" for key in FIGURES[style])

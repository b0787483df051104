"""The official scripts' own figures: their keys, their units, their text."""

from __future__ import annotations

from typing import Any

from handbench.errors import InvalidError, UsageError
from handbench.evaluation.plan import Plan
from handbench.evaluation.protocol import Protocol

# key -> our metric, alignment, and what a value is multiplied by (mm -> cm), in the order of the script's scores.txt
Figures = dict[str, tuple[str, str, float]]
MESH: Figures = {
    "mesh_mean3d": ("mpvpe", "none", 0.1),
    "mesh_auc3d": ("auc-vertices", "none", 1.0),
    "mesh_al_mean3d": ("mpvpe", "procrustes-official", 0.1),
    "mesh_al_auc3d": ("auc-vertices", "procrustes-official", 1.0),
    "f_score_5": ("f@5", "none", 1.0),
    "f_al_score_5": ("f@5", "procrustes-official", 1.0),
    "f_score_15": ("f@15", "none", 1.0),
    "f_al_score_15": ("f@15", "procrustes-official", 1.0),
}
FIGURES: dict[str, Figures] = {
    # freihand: eval.py
    "freihand": {
        "xyz_mean3d": ("mpjpe", "none", 0.1),
        "xyz_auc3d": ("auc", "none", 1.0),
        "xyz_al_mean3d": ("mpjpe", "procrustes-official", 0.1),
        "xyz_al_auc3d": ("auc", "procrustes-official", 1.0),
        **MESH,
    },
    # ho3d: eval.py
    "ho3d": {
        "xyz_mean3d": ("mpjpe", "none", 0.1),
        "xyz_auc3d": ("auc", "none", 1.0),
        "xyz_procrustes_al_mean3d": ("mpjpe", "procrustes-official", 0.1),
        "xyz_procrustes_al_auc3d": ("auc", "procrustes-official", 1.0),
        "xyz_scale_trans_al_mean3d": ("mpjpe", "scale-translation", 0.1),
        "xyz_scale_trans_al_auc3d": ("auc", "scale-translation", 1.0),
        **MESH,
    },
    # dex-ycb-toolkit: hpe_eval.py evaluate() returns these, mm, and prints them as a table
    "dexycb": {
        "absolute_mpjpe": ("mpjpe", "none", 1.0),
        "absolute_auc": ("auc", "none", 1.0),
        "root-relative_mpjpe": ("mpjpe", "root", 1.0),
        "root-relative_auc": ("auc", "root", 1.0),
        "procrustes_mpjpe": ("mpjpe", "procrustes-official", 1.0),
        "procrustes_auc": ("auc", "procrustes-official", 1.0),
    },
}
WITH_TEXT = ("freihand", "ho3d")


def official_scores(plan: Plan, summary: list[dict[str, Any]], n: int) -> dict[str, float]:
    """The official figures (FreiHAND, HO-3D: cm; DexYCB: mm; AUC and F 0..1), {} where the protocol follows no script.

    A figure that not all of the n samples have is no official one.

    A mesh of another topology has -1 for its errors and AUC, which the scripts' conversion to cm makes -100 and -1
    (freihand: eval.py). Without vertices the mesh entries are absent: the official script does not run at all then.
    """
    if plan.protocol.official is None:
        return {}
    values = {(row["metric"], row["alignment"]): float(row["value"]) for row in summary if row["n"] == n}
    scores = {}
    for name, (metric, alignment, factor) in FIGURES[plan.protocol.official].items():
        if (metric, alignment) in values:
            scores[name] = values[metric, alignment] * factor
        elif plan.mesh and not plan.same_topology and metric in ("mpvpe", "auc-vertices"):
            scores[name] = -100.0 if metric == "mpvpe" else -1.0
    return scores


def require_text(protocol: Protocol) -> None:
    """Raises UsageError where the protocol's official script writes no scores.txt."""
    if protocol.official not in WITH_TEXT:
        raise UsageError(
            f"There is no official scores.txt for {protocol.name}.",
            "--json has the official figures." if protocol.official else "The protocol follows no official script.",
        )


def scores_txt(record: dict[str, Any]) -> str:
    """The text of the official scores.txt, from a result's record.

    Raises UsageError where there is no such script, InvalidError where a figure is absent: no vertices.
    """
    protocol, official = Protocol(**record["protocol"]["definition"]), record["official"]
    require_text(protocol)
    style = str(protocol.official)
    absent = [name for name in FIGURES[style] if name not in official]
    if absent:
        raise InvalidError(
            f"There is no official scores.txt without {absent[0]}.",
            "The official script needs vertices on both sides, for every sample.",
        )
    return "".join(f"{name}: {official[name]:f}\n" for name in FIGURES[style])

"""The picture of a row: predictions over their images, each with its errors."""

from __future__ import annotations

from pathlib import Path

from handbench import places
from handbench.evaluation.protocol import load
from handbench.evaluation.result_file import read_result
from handbench.report.overlays import draw_predictions
from handbench.store.hands_file import HandsFile

SHOWN = {"mpjpe/procrustes-official": "PA", "mpjpe/root": "root"}


def picture(protocol: str, row: str, path: Path, count: int = 24) -> Path:
    """Draw `count` samples of a scored row of HANDBENCH_HOME to `path` (PNG): prediction in colour, truth in white."""
    chosen = load(protocol)
    result = read_result(places.result_file(protocol, row))
    errors = {name: result.samples[key] for key, name in SHOWN.items() if key in result.samples}
    with (
        HandsFile(places.prepared(chosen.dataset or chosen.name, chosen.split or "test")) as truth,
        HandsFile(places.predictions_file(protocol, row)) as predictions,
    ):
        title = f"{row}   predicted in colour, truth in white   {result.protocol['id']}"
        draw_predictions(truth, predictions, errors, path, title, count)
    return path

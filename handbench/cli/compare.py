"""handbench compare"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    a: Annotated[Path, typer.Argument(help="a result file of `handbench eval --result` (HANDBENCH_HOME/results)")],
    b: Annotated[Path, typer.Argument(help="another, of the same protocol")],
    json: Annotated[str | None, typer.Option(metavar="FILE", help="write the record there too; - is stdout")] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="compare unlike rows, and say what is unlike")] = False,
    metric: Annotated[
        str | None, typer.Option(help="whose joints and samples to show: mpjpe/procrustes (default: the first mpjpe)")
    ] = None,
    top: Annotated[int, typer.Option(min=0, help="samples to show each way")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="of the sign flips")] = 0,
) -> None:
    """Say whether A is better than B.

    Paired differences with 95 % intervals, and a test of each corrected for their number; by occlusion, by joint, and
    the samples that differ most. Results that are not comparable are refused, with what differs.

    Example: handbench compare runs/results/freihand/a.h5 runs/results/freihand/b.h5
    """
    from handbench.evaluation.compare import compare as run
    from handbench.report.comparison import comparison_text
    from handbench.store.atomic import spare
    from handbench.store.records import hand_over

    spare(json, a, b)
    record = run(a, b, seed=seed, anyway=anyway, figure=metric, top=top).to_record()
    if not hand_over(record, json):
        print(comparison_text(record))

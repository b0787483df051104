"""handbench compare"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    a: Annotated[Path, typer.Argument(help="a result file of `handbench eval` (HANDBENCH_HOME/results)")],
    b: Annotated[Path, typer.Argument(help="another, of the same protocol")],
    json: Annotated[str | None, typer.Option(metavar="FILE", help="write the record there too; - is stdout")] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="compare unlike rows, and say what is unlike")] = False,
    seed: Annotated[int, typer.Option(help="of the resampling")] = 0,
) -> None:
    """Say whether A is better than B.

    Paired differences with 95 % intervals; results that are not comparable are refused, with what differs.

    Example: handbench compare runs/results/freihand/a.h5 runs/results/freihand/b.h5
    """
    from handbench.evaluation.compare import compare as run
    from handbench.evaluation.result_file import read_result
    from handbench.report.summary import comparison_text
    from handbench.store.records import dump_json, write_json

    found = run(read_result(a), read_result(b), seed=seed, anyway=anyway)
    if json != "-":
        print(comparison_text(found.to_record(), a.stem, b.stem))
    else:
        print(dump_json(found.to_record()).decode(), end="")
    if json and json != "-":
        write_json(Path(json), found.to_record())

"""handbench report, without a command: the page"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from handbench.errors import UsageError


def page(
    context: typer.Context,
    out: Annotated[Path | None, typer.Option(help="the page (default: HANDBENCH_HOME/report.html)")] = None,
    samples: Annotated[
        int, typer.Option(min=0, help="of the worst, median and best of each row; 0: no image of a dataset is in it")
    ] = 3,
    measured: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="in the tables: rows of these result files too")
    ] = None,
) -> None:
    """Write one HTML file with everything in HANDBENCH_HOME: tables, charts, samples and hands to turn in 3D.

    It opens from disk without a network. Each command below draws one picture.

    Example: handbench report --out page.html
    """
    if context.invoked_subcommand is not None:
        if out or measured or samples != 3:
            raise UsageError(
                "--out, --samples and --measured before a command are of the page.",
                f"handbench report {context.invoked_subcommand} --help",
            )
        return

    from handbench import places
    from handbench.console import say
    from handbench.evaluation.measured_elsewhere import results_in
    from handbench.report.page import write_page

    path = out or places.home() / "report.html"
    if path.suffix not in (".html", ".htm"):
        raise UsageError(f"{path} does not end in .html.", "The page is HTML: --out page.html")
    elsewhere = [record for folder in measured or [] for record in results_in(folder)]
    found = write_page(path, samples, elsewhere)
    if not found["rows"]:
        say("Nothing was measured yet: the page has the published tables alone.")
    elif found["samples"]:
        say("It holds images of the datasets: share it as their licences allow, or write it with --samples 0.")
    print(path)

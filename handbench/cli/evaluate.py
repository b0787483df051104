"""handbench eval"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from handbench.errors import UsageError


def evaluate(
    table: Annotated[str | None, typer.Option(help="print this table from everything in HANDBENCH_HOME")] = None,
    cross: Annotated[
        str | None,
        typer.Option(metavar="SOURCE:TARGET,...", help="what was trained on one set and is tested on others"),
    ] = None,
    run: Annotated[
        bool,
        typer.Option("--run", help="of a table: first train, predict and time what is missing"),
    ] = False,
    size: Annotated[str, typer.Option(help="of --run: the size to train, as `handbench train --size`")] = "full",
    protocol: Annotated[str | None, typer.Option(help="a protocol: freihand, freihand@1 (default: freihand)")] = None,
    truth: Annotated[Path | None, typer.Option(help="a prepared HDF5, or a folder with the official files")] = None,
    pred: Annotated[
        Path | None, typer.Option(help="predictions: HDF5, pred.json or .zip, DexYCB text, npz, CSV")
    ] = None,
    order: Annotated[
        str | None, typer.Option(help="joint order of --pred: fh21, ho3d, rhd, stb (default: its format's)")
    ] = None,
    axes: Annotated[str | None, typer.Option(help="axes of --pred: opencv, opengl")] = None,
    unit: Annotated[str | None, typer.Option(help="unit of --pred: m, dm, cm, mm")] = None,
    result: Annotated[Path | None, typer.Option(help="keep the errors of every sample here (.h5), to compare")] = None,
    json: Annotated[str | None, typer.Option(metavar="FILE", help="the result as JSON; - is stdout")] = None,
    format: Annotated[
        str, typer.Option(help="of a table: markdown, latex, terminal, csv, json", show_default=True)
    ] = "markdown",
    standalone: Annotated[bool, typer.Option("--standalone", help="with --format latex: a whole document")] = False,
    measured: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="of a table: rows of these result files too, measured elsewhere"),
    ] = None,
    scores_txt: Annotated[Path | None, typer.Option(help="write the official script's scores.txt")] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(help="what --pred took from the truth: root, scale, box, ...; or nothing"),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="stop on a suspected unit, axes, order or side")] = False,
) -> None:
    """Score predictions as the official scripts do; print tables.

    Example: handbench eval --table 1

    Example: handbench eval --table deformer.1 --format latex

    Example: handbench eval --cross freihand:stb,rhd

    Example: handbench eval --protocol freihand --truth FreiHAND_pub_v2_eval --pred pred.json --json result.json
    """
    if cross is not None:
        others = (table, protocol, truth, pred, order, axes, unit, result, scores_txt, given)
        if any(others) or measured or standalone or strict or run or format != "markdown":
            raise UsageError("--cross takes --json and nothing else.", "It prints what is in HANDBENCH_HOME.")
        _cross(cross, json)
    elif table is not None:
        if truth or pred or scores_txt or strict or protocol or result or order or axes or unit or given:
            raise UsageError(
                "--table takes no --protocol, --truth, --pred (and what belongs to it), --strict, --scores-txt.",
                "It prints what is in HANDBENCH_HOME; score a file of your own with --pred.",
            )
        if size != "full" and not run:
            raise UsageError("--size is of --run.", f"handbench eval --table {table} --run --size {size}")
        _table(table, json, format, standalone, measured or [], size if run else None)
    elif measured or standalone or run or size != "full" or format != "markdown":
        raise UsageError(
            "--format, --standalone, --measured and --run are for tables.", "handbench eval --table 1 --format latex"
        )
    elif pred is not None:
        written = {name: said for name, said in (("order", order), ("axes", axes), ("unit", unit)) if said}
        _one(protocol or "freihand", truth, pred, json, scores_txt, strict, result, written, given)
    elif protocol is not None and not (truth or scores_txt or strict or result or order or axes or unit):
        _home(protocol, json)
    else:
        raise UsageError("Nothing to score.", "Give --pred FILE, or --table 1 for everything in HANDBENCH_HOME.")


def _table(
    name: str, json: str | None, format: str, standalone: bool, measured: list[Path], run_size: str | None
) -> None:
    from handbench import places
    from handbench.console import say
    from handbench.evaluation.catalog import score_homes
    from handbench.evaluation.measured_elsewhere import results_in
    from handbench.report.formats import FORMATS
    from handbench.report.latex import to_latex
    from handbench.report.missing_runs import run_missing
    from handbench.report.spec import load_spec
    from handbench.report.speeds import read_speeds
    from handbench.report.table import build_table
    from handbench.sections import require_known
    from handbench.store.records import hand_over

    require_known(format, list(FORMATS), "format")
    if standalone and format != "latex":
        raise UsageError("--standalone is of LaTeX.", f"handbench eval --table {name} --format latex --standalone")
    spec = load_spec(name)
    elsewhere = [record for folder in measured for record in results_in(folder)]
    # what could be wrong with the rest was found before hours of training
    if run_size is not None:
        run_missing(spec, run_size)
    own, _ = score_homes(spec.protocols)
    results = [record for found in own.values() for record in found] + elsewhere
    speeds = read_speeds(places.home() / "speed")
    built = build_table(spec, results, speeds)
    if not built.sections:
        wanted = " or ".join(f"`handbench predict METHOD --protocol {protocol}`" for protocol in spec.protocols)
        say(f"Table {name} has no published rows, and nothing was measured for it yet: {wanted}.")
    if not hand_over({"table": name, "results": results}, json):
        print((to_latex(built, standalone=True) if standalone else FORMATS[format](built)).rstrip("\n"))


def _cross(text: str, json: str | None) -> None:
    from handbench.evaluation.cross import parse_cross, score_cross
    from handbench.report.cross_table import cross_text
    from handbench.store.records import hand_over

    record = score_cross(parse_cross(text))
    if not hand_over(record, json):
        print(cross_text(record))


def _one(
    protocol: str,
    truth: Path | None,
    pred: Path,
    json: str | None,
    scores_txt: Path | None,
    strict: bool,
    result: Path | None,
    written: dict[str, str],
    given: list[str] | None,
) -> None:
    from handbench import places
    from handbench.console import warn
    from handbench.evaluation.intake import stated
    from handbench.evaluation.official_text import require_text
    from handbench.evaluation.official_text import scores_txt as official
    from handbench.evaluation.protocol import load
    from handbench.evaluation.scoring import score
    from handbench.report.summary import summary_text
    from handbench.store.atomic import replacing, spare
    from handbench.store.records import hand_over

    chosen = load(protocol)
    for out in (json, scores_txt, result):
        spare(out, truth, pred)
    if scores_txt:
        require_text(chosen)
    true = truth or places.prepared(chosen.dataset or chosen.name, chosen.split or "test")
    record = score(true, pred, chosen, strict=strict, out=result, written=written, given=stated(given))
    for warning in record["warnings"]:
        warn(warning)
    if not hand_over(record, json):
        print(summary_text(record))
    if scores_txt:
        text = official(record)
        with replacing(scores_txt) as part:
            part.write_text(text)


def _home(protocol: str, json: str | None) -> None:
    from handbench import places
    from handbench.console import warn
    from handbench.errors import MissingError
    from handbench.evaluation.catalog import score_home
    from handbench.evaluation.protocol import load
    from handbench.report.repeats import repeats_text, with_repeats
    from handbench.report.summary import summary_text
    from handbench.store.records import hand_over

    chosen = load(protocol)
    records = score_home(chosen)
    if not records:
        raise MissingError(
            f"There are no predictions in {places.predictions_file(chosen.name, 'x').parent}.",
            f"`handbench predict METHOD --protocol {chosen.name}` makes them.",
        )
    for record in records:
        for warning in record["warnings"]:
            warn(f"{record['row'].get('method', 'predictions')}: {warning}")
    repeated = [record for record in with_repeats(records) if "seeds" in record["row"]]
    if not hand_over([*records, *repeated], json):
        print("\n\n".join([*map(summary_text, records), *map(repeats_text, repeated)]))

"""The page: tables, charts and samples in one HTML file, which opens from disk without a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plotly.offline
from jinja2 import Environment, PackageLoader, StrictUndefined

from handbench import places
from handbench.evaluation.catalog import score_homes
from handbench.evaluation.protocol import load
from handbench.evaluation.protocol import names as protocol_names
from handbench.hands.joints import BONES
from handbench.report.page.charts import latency_chart, published_chart
from handbench.report.page.rows import Group, groups_of
from handbench.report.spec import load_spec, table_names
from handbench.report.speed_figures import alike
from handbench.report.speeds import headline, read_speeds
from handbench.report.table import Table, build_table
from handbench.store.atomic import replacing
from handbench.store.records import made


def write_page(path: Path, samples: int = 3, elsewhere: Sequence[dict[str, Any]] = ()) -> dict[str, int]:
    """Write the page of HANDBENCH_HOME -> how many tables, rows that were measured, and samples it has.

    What was predicted and not yet scored is scored first. `samples` is how many of the worst, median and best each row
    shows; 0: none, and then the page holds no image of a dataset. `elsewhere` are result records of other machines,
    for the tables. Written atomically.
    """
    results, left_out = score_homes(_known())
    speeds = read_speeds(places.home() / "speed")
    drawn, other_timings = alike(speeds) if any(map(headline, speeds)) else ([], 0)
    groups = [group for name, found in results.items() for group in groups_of(load(name), found, drawn, samples)]
    tables = _tables([*(record for found in results.values() for record in found), *elsewhere], speeds)
    page = Environment(
        loader=PackageLoader("handbench.report.page", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    text = page.get_template("page.html").render(
        tables=tables,
        groups=groups,
        left_out=left_out,
        other_timings=other_timings,
        bones=BONES,
        meshes=_meshes(groups),
        published=published_chart(),
        latency=latency_chart(drawn),
        made=made(),
        style=_beside("page.css"),
        script=_beside("page.js"),
        plotly=plotly.offline.get_plotlyjs(),
    )
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
    rows = [row for group in groups for row in group.rows]
    return {"tables": len(tables), "rows": len(rows), "samples": sum(len(row.samples) for row in rows)}


def _known() -> list[str]:
    """The protocols that something was predicted for, or scored."""
    files = (places.predictions_file("x", "x"), places.result_file("x", "x"))
    there = {folder.name for file in files for folder in file.parents[1].glob("*")}
    return [name for name in protocol_names() if name in there]


def _tables(results: Sequence[dict[str, Any]], speeds: Sequence[dict[str, Any]]) -> list[Table]:
    """handbench's own in the order of their numbers, then the papers'."""
    names = sorted(table_names(), key=lambda name: (not name.isdigit(), int(name) if name.isdigit() else 0, name))
    return [table for table in (build_table(load_spec(name), results, speeds) for name in names) if table.sections]


def _meshes(groups: Sequence[Group]) -> dict[str, list[list[int]]]:
    """The faces of each topology that a sample is drawn with, once."""
    return {name: faces for group in groups for name, faces in group.faces.items()}


def _beside(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")

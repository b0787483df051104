"""Two results on the same samples: what differs, and whether the difference is real."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from handbench.errors import InvalidError
from handbench.evaluation.buckets import BUCKETS, bucket_of
from handbench.evaluation.effects import LEVEL, Compared, by_joint, measured, most_different
from handbench.evaluation.pairing import Pairs, key_of, pair, same_figures
from handbench.evaluation.result import Result, plain, row_name
from handbench.evaluation.result_file import read_result
from handbench.evaluation.unlike import differences
from handbench.metrics.intervals import WARN_BELOW
from handbench.metrics.permutation import DRAWS, holm
from handbench.sections import require_known

PROCRUSTES = ("procrustes-official", "procrustes")


@dataclass(frozen=True)
class Comparison:
    """What `compare` found. Differences are a - b.

    names          how `a` and `b` are called
    unlike         why the two should not be compared; empty unless that was overruled
    n, clusters    samples that both have; captures among them, None where samples are taken as independent
    rows           every figure that both have
    per_bucket     one dict an occlusion bucket: bucket, n, clusters, rows; `unknown` has only its n
    per_joint      alignment -> one dict a joint: joint, a, b, difference, low, high, n (mm; not tested)
    most_different figure, unit, and the samples with the lowest (`below`) and highest (`above`) differences
    family         what was tested together: tests, correction, level, seed, draws, and the least p there can be
    """

    names: tuple[str, str]
    protocol_id: str
    unlike: list[str]
    n: int
    clusters: int | None
    rows: list[Compared]
    per_bucket: list[dict[str, Any]]
    per_joint: dict[str, list[dict[str, Any]]]
    most_different: dict[str, Any] | None
    family: dict[str, Any]
    warnings: list[str] = field(default_factory=list)

    def to_record(self) -> dict[str, Any]:
        """Plain JSON; a number that does not exist is None."""
        buckets = [{**bucket, "rows": [asdict(row) for row in bucket["rows"]]} for bucket in self.per_bucket]
        return plain(
            {
                "protocol": self.protocol_id,
                "a": self.names[0],
                "b": self.names[1],
                "unlike": self.unlike,
                "n": self.n,
                "clusters": self.clusters,
                "rows": [asdict(row) for row in self.rows],
                "per_bucket": buckets,
                "per_joint": self.per_joint,
                "most_different": self.most_different,
                "family": self.family,
                "warnings": self.warnings,
            }
        )


def compare(
    a: Result | Path | str,
    b: Result | Path | str,
    *,
    seed: int = 0,
    anyway: bool = False,
    figure: str | None = None,
    top: int = 5,
) -> Comparison:
    """Paired differences of every figure that both results (or files of results) have, and which of them are real.

    A difference is real where the paired sign-flip test finds p <= 0.05 after Holm's correction over all figures, of
    all samples and of each occlusion bucket; what is flipped is the capture, or the sample where there are none.
    `figure` (`mpjpe/procrustes`) chooses whose joints and samples are shown, `top` how many samples each way.

    Raises InvalidError saying in words what is unlike: the protocol, the samples, what the rows were given. `anyway`
    compares over the samples that both have, and says so in `unlike`. Raises UsageError for an unknown `figure`.
    """
    paths = [None if isinstance(result, Result) else Path(result) for result in (a, b)]
    a, b = (result if isinstance(result, Result) else _read(Path(result)) for result in (a, b))
    unlike = differences(a, b)
    if unlike and not anyway:
        raise InvalidError(
            f"These results are not comparable: {'; '.join(unlike)}.",
            "Score both under one protocol and one truth, from the same given; or --anyway.",
        )
    pairs = pair(a, b)
    figures, left_out = same_figures(a, b)
    shown = _shown(pairs, figures, figure)
    rows = measured(pairs, figures, seed)
    buckets = _buckets(pairs, figures, seed)
    clusters = None if pairs.clusters is None else len(np.unique(pairs.clusters))
    family = _judge(rows, buckets, seed, "samples" if clusters is None else "captures")
    return Comparison(
        names=_names(a, b, paths),
        protocol_id=str(a.protocol["id"]),
        unlike=unlike,
        n=len(pairs.ids),
        clusters=clusters,
        rows=rows,
        per_bucket=buckets,
        per_joint={alignment: by_joint(pairs, alignment) for alignment in _alignments(pairs, figures, figure)},
        most_different=None if shown is None else most_different(pairs, shown, top),
        family=family,
        warnings=_warnings(clusters, len(pairs.ids), family) + pairs.warnings + left_out,
    )


def _read(path: Path) -> Result:
    if path.is_file():
        with path.open("rb") as file:
            start = file.read(64).lstrip()
        if start[:1] in (b"{", b"["):
            raise InvalidError(
                f"{path} is JSON: it has no errors sample by sample, and those are compared.",
                "Give the .h5 that `handbench eval --result FILE` writes.",
            )
    return read_result(path)


def _shown(pairs: Pairs, figures: list[dict[str, Any]], wanted: str | None) -> dict[str, Any] | None:
    """The figure whose samples are shown: as asked for, or the first mpjpe, or the first that there is."""
    there = {key_of(figure): figure for figure in figures if pairs.has_column(figure)}
    if wanted is not None:
        require_known(wanted, there, "figure")
        return there[wanted]
    errors = [figure for figure in there.values() if figure["name"] == "mpjpe"]
    return next(iter([*errors, *there.values()]), None)


def _alignments(pairs: Pairs, figures: list[dict[str, Any]], wanted: str | None) -> list[str]:
    """Those whose joints are shown: as asked for, or of the first mpjpe, and Procrustes."""
    if wanted is not None:
        found = [wanted.rpartition("/")[2]]
    else:
        errors = [figure["alignment"] for figure in figures if figure["name"] == "mpjpe"]
        found = errors[:1] + [alignment for alignment in errors if alignment in PROCRUSTES][:1]
    return [alignment for alignment in dict.fromkeys(found) if pairs.has_joints(alignment)]


def _buckets(pairs: Pairs, figures: list[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """Every figure in each occlusion bucket that has samples; [] where it is not known how much is covered."""
    if pairs.covered is None:
        return []
    which = bucket_of(pairs.covered)
    found = []
    for index, name in [*enumerate(name for name, _, _ in BUCKETS), (-1, "unknown")]:
        inside = which == index
        n = int(inside.sum())
        if index == -1 and not n:
            continue
        clusters = None if pairs.clusters is None else len(np.unique(pairs.clusters[inside]))
        rows = measured(pairs, figures, seed, inside) if n and index != -1 else []
        found.append({"bucket": name, "n": n, "clusters": clusters, "rows": rows})
    return found


def _judge(rows: list[Compared], buckets: list[dict[str, Any]], seed: int, together: str) -> dict[str, Any]:
    """Put the verdicts into the rows, in place; returns the family that they were tested in."""
    lists = [rows, *(bucket["rows"] for bucket in buckets)]
    tests = [(where, i) for where in lists for i, row in enumerate(where) if row.tested]
    adjusted = holm([where[i].p for where, i in tests]) if tests else []
    smallest = min((where[i].smallest for where, i in tests), default=float("nan"))
    least = min(1.0, smallest * len(tests)) if tests else float("nan")
    for (where, i), p in zip(tests, adjusted, strict=True):
        where[i] = where[i].judged(float(p), least, together)
    return {
        "tests": len(tests),
        "correction": "Holm",
        "level": LEVEL,
        "test": f"paired, signs of {together} flipped",
        "seed": seed,
        "draws": DRAWS,
        "smallest": smallest,
        "smallest_adjusted": least,
    }


def _warnings(clusters: int | None, n: int, family: dict[str, Any]) -> list[str]:
    said = []
    if clusters is None:
        said.append("Samples are taken as independent: too narrow where they are frames of one recording.")
    elif clusters < WARN_BELOW:
        said.append(
            f"There are only {clusters} captures: intervals of fewer than {WARN_BELOW} are wide and lean on a model."
        )
    if family["smallest_adjusted"] > LEVEL and family["smallest"] < 1:
        units = f"{n:,} samples" if clusters is None else f"{clusters} captures"
        said.append(
            f"Nothing can be told apart with {units} and {family['tests']} tests: no p can be below "
            f"{family['smallest']:.4g}, nor below {family['smallest_adjusted']:.4g} after Holm's correction."
        )
    return said


def _names(a: Result, b: Result, paths: list[Path | None]) -> tuple[str, str]:
    """The rows' method, variant, size and seed; the file's name too where these are the same, or its whole path."""
    called = [_row_name(result) or (path.stem if path else "") for result, path in zip((a, b), paths, strict=True)]
    if called[0] == called[1]:
        stems = [path.stem if path else "" for path in paths]
        files = [str(path or "") for path in paths] if stems[0] == stems[1] else stems
        called = [
            f"{name} ({file})" if file not in ("", name) else name for name, file in zip(called, files, strict=True)
        ]
    return called[0] or "the first", called[1] or "the second"


def _row_name(result: Result) -> str:
    name, seed = row_name(result.row, seed=False), result.row.get("seed")
    return f"{name} seed {seed}" if name and seed is not None else name

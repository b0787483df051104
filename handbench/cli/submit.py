"""handbench submit"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from handbench.evaluation.protocol import Protocol


def submit(
    benchmark: Annotated[str, typer.Argument(help="freihand, ho3d or dexycb")],
    predictions: Annotated[Path | None, typer.Argument(help="an HDF5 of predictions (or --name)")] = None,
    out: Annotated[Path | None, typer.Option(help="the file to write: .zip or .json, DexYCB .txt")] = None,
    name: Annotated[str | None, typer.Option(help="predictions in HANDBENCH_HOME, by their row's name")] = None,
    version: Annotated[str | None, typer.Option(help="HO-3D: v2 or v3 (default: the predictions')")] = None,
    setup: Annotated[str | None, typer.Option(help="DexYCB: s0 to s3 (default: the predictions')")] = None,
    truth: Annotated[Path | None, typer.Option(help="DexYCB: its root, or the prepared test set")] = None,
    partial: Annotated[bool, typer.Option("--partial", help="write what there is, though samples are missing")] = False,
    decimals: Annotated[int, typer.Option(min=1, max=12, help="DexYCB: of the text's millimetres")] = 4,
    check: Annotated[Path | None, typer.Option(help="look at a file of predictions instead of writing one")] = None,
) -> None:
    """Write predictions as the official tools and servers take them.

    FreiHAND: a zip with pred.json, metres, absolute camera frame. HO-3D: the same in its joint order and OpenGL axes,
    in the order of evaluation.txt. DexYCB: a line a frame, mm with 4 decimals, or --decimals. With --check: say what
    such a file holds; exit code 5 where the official script would not take it, or it looks odd.

    Example: handbench submit freihand --name clip-hand3d-full-0 --out pred.zip

    Example: handbench submit ho3d runs/predictions/ho3d-v3/mine.h5 --out pred.zip

    Example: handbench submit freihand --check pred.zip
    """
    from handbench.errors import UsageError

    if check is not None:
        if predictions or out or name or partial:
            raise UsageError("--check takes a file and nothing else.", "handbench submit freihand --check pred.zip")
        _check(benchmark, check, version, setup, truth)
        return
    if (predictions is None) == (name is None):
        raise UsageError("Which predictions?", "Give an HDF5 of predictions, or --name of those in HANDBENCH_HOME.")
    if out is None:
        raise UsageError("Where to?", "Give --out pred.zip (FreiHAND, HO-3D) or --out pred.txt (DexYCB).")
    _write(benchmark, predictions, out, name, version, setup, truth, partial, decimals)


def _write(
    benchmark: str,
    predictions: Path | None,
    out: Path,
    name: str | None,
    version: str | None,
    setup: str | None,
    truth: Path | None,
    partial: bool,
    decimals: int,
) -> None:
    from handbench.console import say, warn
    from handbench.evaluation.importing import WORDS
    from handbench.evaluation.submission import protocol_of, write_submission
    from handbench.store.atomic import spare
    from handbench.store.hands_file import HandsFile

    path = predictions or _by_name(benchmark, str(name), version, setup)
    spare(out, path, truth)
    with HandsFile(path, "`handbench predict` or `handbench import` makes it.") as file:
        protocol = protocol_of(benchmark, version, setup, file.column("id"))
        done = write_submission(file, out, protocol, _frames(protocol, truth), partial, decimals)
    whole = done.official is None or done.samples == done.official
    if not whole:
        warn(f"{done.samples:,} of {done.official:,} samples: the official script will not take it.")
    say(f"{done.samples:,} samples of {protocol.title}: {', '.join(WORDS[word] for word in done.written)}")
    print(out)


def _by_name(benchmark: str, name: str, version: str | None, setup: str | None) -> Path:
    from handbench import places
    from handbench.errors import MissingError
    from handbench.evaluation.submission import BENCHMARKS, SETUPS, VERSIONS, protocol_of
    from handbench.sections import require_known

    if benchmark == "freihand" or version or setup:
        return places.predictions_file(protocol_of(benchmark, version, setup).name, name)
    require_known(benchmark, BENCHMARKS, "benchmark")
    words = VERSIONS if benchmark == "ho3d" else SETUPS
    files = [places.predictions_file(f"{benchmark}-{word}", name) for word in words]
    found = [path for path in files if path.exists()]
    if len(found) == 1:
        return found[0]
    option = "--version" if benchmark == "ho3d" else "--setup"
    if found:
        raise MissingError(f"{name} has predictions of {len(found)} {option[2:]}s.", f"Say which: {option}.")
    raise MissingError(
        f"There are no predictions {name} of {benchmark} in {places.home()}.", f"Give a path, or {option}."
    )


def _frames(protocol: Protocol, truth: Path | None) -> NDArray | None:
    """The ids of the test set, where the official list has gaps and the set is there."""
    from handbench import places
    from handbench.evaluation.truth import open_truth

    if not protocol.gaps:
        return None
    prepared = places.prepared(protocol.dataset or protocol.name, protocol.split or "test")
    if truth is None and not prepared.exists():
        return None
    with open_truth(truth or prepared, protocol) as true:
        return true.column("id")


def _check(benchmark: str, path: Path, version: str | None, setup: str | None, truth: Path | None) -> None:
    from handbench.errors import CheckFailed
    from handbench.evaluation.prediction_check import check_submission
    from handbench.evaluation.submission import protocol_of

    protocol = protocol_of(benchmark, version, setup)
    findings = check_submission(path, protocol, _frames(protocol, truth))
    print(f"{path} for {protocol.title}")
    for finding in findings:
        print(f"  {'ok ' if finding.fine else 'ODD'} {finding.what:<8} {finding.seen}")
        if not finding.fine:
            print(f"      {'':<8} {finding.wrong}")
    odd = sum(not finding.fine for finding in findings)
    if odd:
        raise CheckFailed(f"{odd} {'thing is' if odd == 1 else 'things are'} wrong with {path}.", "See above.")

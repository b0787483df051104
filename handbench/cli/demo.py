"""handbench demo"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SENTENCE = (
    "This is a demonstration: a synthetic hand and a training budget of two minutes. "
    "Its rows say nothing about FreiHAND or about the published methods."
)


def demo(
    out: Annotated[Path | None, typer.Option(help="its folder (default HANDBENCH_HOME/demo/NxEPOCHS)")] = None,
    n: Annotated[int, typer.Option("--n", min=8, help="synthetic training frames; each has four images")] = 200,
    epochs: Annotated[int, typer.Option(min=1, help="of training")] = 4,
) -> None:
    """Run the whole chain on a synthetic hand.

    Synthesise, prepare, train, predict, time, score, print table 1, draw.

    Example: handbench demo
    """
    import os

    # before anything is made: the base install has no torch
    import torch  # noqa: F401

    from handbench import places
    from handbench.cli import evaluate, predict, prep, speed, synth, train
    from handbench.console import say
    from handbench.report.page import write_page
    from handbench.report.predictions_picture import picture

    folder = out or places.home() / "demo" / f"{n}x{epochs}"
    os.environ["HANDBENCH_HOME"] = str(folder / "runs")
    os.environ["HANDBENCH_DATA"] = str(folder / "data")
    official = places.data_home() / "freihand"
    tiny = "tiny"

    say(SENTENCE)
    say("1 of 7  synthesise FreiHAND's layout")
    synth.synth("freihand", out=official, n=n, n_eval=max(4, n // 4))
    say("2 of 7  prepare")
    prep.prep("freihand", [official], partial=True)
    say("3 of 7  train mean-pose and clip-hand3d, size tiny")
    train.train("mean-pose", device="cpu")
    train.train("clip-hand3d", size=tiny, sets=[f"train.epochs={epochs}"], device="cpu")
    say("4 of 7  predict")
    predict.predict("mean-pose", device="cpu")
    predict.predict("clip-hand3d", size=tiny, device="cpu")
    say("5 of 7  time")
    speed.speed(["clip-hand3d"], size=tiny, device="cpu", data=places.prepared("freihand", "test"), quick=True)
    say("6 of 7  score, and print table 1")
    evaluate.evaluate(table="1", json=str(folder / "table1.json"))
    say("7 of 7  draw, and write the page")
    print(picture("freihand", f"clip-hand3d-full.{tiny}-0", folder / "predictions.png"))
    write_page(folder / "report.html")
    print(folder / "report.html")
    print(SENTENCE)

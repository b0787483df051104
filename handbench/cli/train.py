"""handbench train"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    method: Annotated[str, typer.Argument(help="a recipe: see `handbench ls`")],
    variant: Annotated[str, typer.Option(help="a named ablation of the recipe")] = "full",
    size: Annotated[str, typer.Option(help="full (the paper's), small or tiny")] = "full",
    data: Annotated[
        str | None, typer.Option(help="dataset or prepared file to train on (default: the recipe's)")
    ] = None,
    seed: Annotated[int, typer.Option(help="of initial weights, order and augmentation")] = 0,
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value, for example train.epochs=1")
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="a recipe file of your own")] = None,
    init: Annotated[Path | None, typer.Option(help="start from the weights of this checkpoint")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    out: Annotated[Path | None, typer.Option(help="the run's folder")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="delete an earlier run in the folder")] = False,
) -> None:
    """Train a method from its recipe.

    Goes on from an interrupted run; Ctrl-C saves. Validation frames come from the training split, never from the test
    set.

    Example: handbench train clip-hand3d --size tiny --set train.epochs=20
    """
    from handbench import places
    from handbench.console import say
    from handbench.inference.device import choose_device
    from handbench.preparation.source import present_hand
    from handbench.recipe import load_recipe
    from handbench.store.hands_file import HandsFile
    from handbench.training.plan import Plan
    from handbench.training.train import train as run

    chosen = load_recipe(method, variant, size, [*([f"data.train={data}"] if data else []), *(sets or [])], recipe)
    where = choose_device(device)
    name = chosen.data.train
    path = Path(name) if name.endswith(".h5") else places.prepared(name, "train")
    file = HandsFile(path, f"`handbench prep {name}` makes it.")
    folder = out or places.run_folder(chosen.method, chosen.label, seed)
    plan = Plan(chosen, file, present_hand(), folder, seed, init)
    say(
        f"{chosen.method} {chosen.label} on {plan.about['trained_on']}: {len(plan.train_index):,} samples, "
        f"{len(plan.validation_index):,} held out for validation, {where}"
    )
    print(run(plan, where, restart=restart))

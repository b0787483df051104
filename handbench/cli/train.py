"""handbench train"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def train(
    method: Annotated[str, typer.Argument(help="a recipe: see `handbench ls`")],
    list_variants: Annotated[
        bool, typer.Option("--list-variants", help="say what variants there are, and which rows of the paper they are")
    ] = False,
    variant: Annotated[str, typer.Option(help="a named ablation of the recipe")] = "full",
    size: Annotated[str, typer.Option(help="full (the paper's), small or tiny")] = "full",
    data: Annotated[
        str | None, typer.Option(help="dataset or prepared file to train on (default: the recipe's)")
    ] = None,
    seed: Annotated[int, typer.Option(help="of initial weights, order and augmentation")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="so many runs, one after the other, from --seed upwards")] = 1,
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value, for example train.epochs=1")
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="a recipe file of your own")] = None,
    init: Annotated[Path | None, typer.Option(help="start from the weights of this checkpoint")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    out: Annotated[Path | None, typer.Option(help="the run's folder")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="delete an earlier run in the folder")] = False,
    hand: Annotated[str, typer.Option(help="auto, mano or synthetic: the hand model that it is built on")] = "auto",
    json: Annotated[
        str | None, typer.Option(metavar="FILE", help="with --list-variants: write them there; - is stdout")
    ] = None,
) -> None:
    """Train a method from its recipe.

    Goes on from an interrupted run; Ctrl-C saves. Validation frames come from the training split, never from the test
    set. By torchrun it trains in several processes, which share each batch.

    Example: handbench train clip-hand3d --size tiny --set train.epochs=20

    Example: handbench train dahyf --list-variants

    Example: handbench train clip-hand-s12 --size tiny --seeds 3

    Example: torchrun --nproc-per-node 2 -m handbench train deformer
    """
    if list_variants:
        from handbench.report.variants import print_variants

        print_variants(method, recipe, json)
        return
    if "WORLD_SIZE" in os.environ:
        # before torch comes: DDP warns in each process where a step uses every parameter
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from handbench import places
    from handbench.console import say
    from handbench.errors import UsageError
    from handbench.methods import find
    from handbench.recipe import load_recipe
    from handbench.sections import require_known
    from handbench.store.hands_file import HandsFile
    from handbench.training.hand import choose_hand
    from handbench.training.plan import Plan, starting_weights
    from handbench.training.processes import one_answer, own_device, processes
    from handbench.training.train import train as run

    with one_answer():
        if seeds > 1 and (out or init):
            option = "--out" if out else "--init"
            raise UsageError(f"{option} is of one run, and --seeds {seeds} asks for several.", f"Leave {option} out.")
        require_known(hand, ("auto", "mano", "synthetic"), "hand model")
        chosen = load_recipe(method, variant, size, [*([f"data.train={data}"] if data else []), *(sets or [])], recipe)
        where, group = own_device(device), processes()
        name = chosen.data.train
        path = Path(name) if name.endswith(".h5") else places.prepared(name, "train")
        file = HandsFile(path, f"`handbench prep {_dataset_of(name)}` makes it.")
        model = choose_hand(hand, file.meta, find(chosen.method).needs_hand)  # type: ignore[arg-type]
        for one in range(seed, seed + seeds):
            folder = out or places.run_folder(chosen.method, chosen.label, one)
            plan = Plan(chosen, file, model, folder, one, init or starting_weights(chosen, one))
            say(
                f"{chosen.method} {chosen.label} on {plan.about['trained_on']}: {len(plan.train_index):,} samples, "
                f"{len(plan.validation_index):,} held out for validation, {where}, "
                + (f"{group.count} processes, " if group.several else "")
                + f"hand model: {model.source}"
                + (f", seed {one}" if seeds > 1 else "")
            )
            best = run(plan, where, restart=restart)
            if group.first:
                print(best)


def _dataset_of(name: str) -> str:
    """What `handbench prep` is told of training data: `dexycb-s0` is a split of dexycb."""
    from handbench import datasets

    dataset, _, setup = name.rpartition("-")
    whole = name in datasets.names() or dataset not in datasets.names()
    return name if whole else f"{dataset} --split {setup}-train"

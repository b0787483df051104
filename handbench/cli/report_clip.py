"""handbench report tsne, handbench report nearest"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Source = Annotated[str, typer.Argument(help="a dataset, or a prepared file: its training split is taken")]
Clip = Annotated[str, typer.Option(help="CLIP's weights: openai, a file, or random (which says nothing)")]
Samples = Annotated[int, typer.Option(min=2, help="images of each set, evenly spread")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")]
Out = Annotated[Path | None, typer.Option(help="the PNG (default: in HANDBENCH_HOME/pictures)")]
Json = Annotated[str | None, typer.Option(metavar="FILE", help="write the numbers there too; - is stdout")]

PROMPTS = (
    "a photo of black hand with dark background",
    "a photo of peach hand with green background",
    "a photo of white hand with bright room",
)


def tsne(
    source: Source,
    targets: Annotated[list[str], typer.Argument(help="datasets, or prepared files: their test splits are taken")],
    clip: Clip = "openai",
    samples: Samples = 200,
    seed: Annotated[int, typer.Option(help="of the prompts and of t-SNE")] = 0,
    device: Device = "auto",
    out: Out = None,
    json: Json = None,
) -> None:
    """Draw CLIP's features of a source, of its images shifted by prompts, and of targets, by t-SNE.

    Example: handbench report tsne freihand stb rhd
    """
    from handbench.errors import UsageError
    from handbench.inference.clip_space import Towers, domains
    from handbench.inference.device import choose_device
    from handbench.report.clip_pictures import draw_domains, embed

    names = [_name(each) for each in (source, *targets)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"{twice} is named twice.", "Give one source, and targets that differ from it.")
    files = [_open(source, "train"), *(_open(target, "test") for target in targets)]
    path = _picture(out, json, [file.path for file in files], f"tsne-{'-'.join(names)}")
    towers = Towers(clip, choose_device(device))
    found = domains(towers, (names[0], files[0]), dict(zip(names[1:], files[1:], strict=True)), samples, seed)
    placed = embed(found, seed)
    draw_domains(placed, path, f"t-SNE of CLIP's features{_caveat(clip)}")
    sets = {name: {"n": len(points), "points": points.tolist()} for name, points in placed.items()}
    say_picture(path, json, {"clip": clip, "seed": seed, "sets": sets})


def nearest(
    source: Source,
    sample: Annotated[str | None, typer.Option(help="the image put in: its id, or its place in the file")] = None,
    prompt: Annotated[
        list[str] | None, typer.Option(help="may be repeated (default: three of the paper's table)")
    ] = None,
    best: Annotated[int, typer.Option(min=1, help="images shown for each prompt")] = 5,
    clip: Clip = "openai",
    samples: Samples = 1000,
    device: Device = "auto",
    out: Out = None,
    json: Json = None,
) -> None:
    """Draw the images of a source that are nearest to one of them shifted by a prompt, in CLIP's space.

    Example: handbench report nearest freihand --prompt "a photo of black hand with dark background"
    """
    from handbench.inference.clip_space import Towers
    from handbench.inference.clip_space import nearest as run
    from handbench.inference.device import choose_device
    from handbench.report.clip_pictures import draw_nearest, nearest_record

    file = _open(source, "train")
    path = _picture(out, json, [file.path], f"nearest-{_name(source)}")
    rows = run(Towers(clip, choose_device(device)), file, sample, prompt or PROMPTS, samples, best)
    draw_nearest(rows, path, f"Image and prompt in equal parts: nearest images of {_name(source)}{_caveat(clip)}")
    say_picture(path, json, {"clip": clip, "rows": nearest_record(rows)})


def _open(given: str, split: str) -> Any:
    from handbench import places
    from handbench.store.hands_file import HandsFile

    path = Path(given) if given.endswith(".h5") else places.prepared(given, split)
    return HandsFile(path, f"`handbench prep {_name(given)}` makes it.")


def _name(given: str) -> str:
    return Path(given).stem if given.endswith(".h5") else given


def _picture(out: Path | None, json: str | None, inputs: list[Path], name: str) -> Path:
    from handbench import places
    from handbench.store.atomic import spare

    for target in (out, json):
        spare(target, *inputs)
    return out or places.home() / "pictures" / "clip" / f"{name}.png"


def _caveat(clip: str) -> str:
    return " (random weights: they say nothing about CLIP)" if clip == "random" else ""


def say_picture(path: Path, json: str | None, record: dict[str, Any]) -> None:
    """Where the picture is; or its numbers, where `--json -` takes stdout for them."""
    from handbench.store.records import hand_over

    if not hand_over(record, json):
        print(path)

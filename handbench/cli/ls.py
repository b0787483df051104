"""handbench ls"""

from __future__ import annotations

from typing import Annotated

import typer


def ls(
    what: Annotated[str | None, typer.Argument(help="published: the numbers that papers printed")] = None,
    method: Annotated[str | None, typer.Option(help="of published: METRO, ...")] = None,
    table: Annotated[str | None, typer.Option(help="of published: clip-hand3d.1, ...")] = None,
    json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """List what there is, and what is in HANDBENCH_HOME; or who printed which number.

    Example: handbench ls

    Example: handbench ls published --method METRO
    """
    if what is not None:
        from handbench.report.published_list import print_published
        from handbench.sections import require_known

        require_known(what, ["published"], "list")
        print_published(method, table, json)
        return
    if method or table:
        from handbench.errors import UsageError

        raise UsageError("--method and --table are of the published numbers.", "handbench ls published --method METRO")
    import tomllib

    from handbench import places
    from handbench.datasets import find, names
    from handbench.evaluation import protocol
    from handbench.store.records import dump_json

    def shipped(kind: str) -> dict[str, dict]:
        return {
            path.stem: tomllib.loads(path.read_text()) for path in sorted(places.shipped("recipes", kind).glob("*"))
        }

    home = places.home()
    there = {
        "datasets": {name: find(name).CARD.title for name in names()},
        "methods": {
            name: ", ".join([*recipe.get("sizes", {}), *recipe.get("variants", {})])
            for name, recipe in shipped("methods").items()
        },
        "protocols": {name: protocol.load(name).title for name in protocol.names()},
        "tables": {name: table.get("title", "") for name, table in shipped("tables").items()},
        "prepared": {path.name: _size(path) for path in sorted(home.glob("data/*.h5"))},
        "trained": {
            str(path.parent.relative_to(home / "train")): "" for path in sorted(home.glob("train/*/*/*/best.pt"))
        },
        "predictions": {
            str(path.relative_to(home / "predictions")): _size(path) for path in sorted(home.glob("predictions/*/*.h5"))
        },
    }
    if json:
        print(dump_json(there).decode(), end="")
        return
    for kind, entries in there.items():
        print(kind if entries else f"{kind}: none")
        for name, text in entries.items():
            print(f"  {name:<24} {text}".rstrip())


def _size(path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"

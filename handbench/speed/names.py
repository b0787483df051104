"""The name of a record's file is its condition, as timm names its results."""

from __future__ import annotations

from typing import Any

from handbench import places


def file_name(record: dict[str, Any]) -> str:
    """What a record was measured under; at the end, where it differs from the default, how it was measured: random
    weights, a data set's inputs, effort, several processes.
    """
    machine = record["machine"]
    torch_version = machine["torch"].split("+")[0]
    cuda = f"-cu{machine['cuda'].replace('.', '')}" if machine["kind"] == "cuda" else ""
    device = machine["device"] if machine["kind"] == "cuda" else f"cpu{machine['threads']}"
    who = safe(record["method"])
    if "variant" in record:
        who += f"-{places.row_label(record['variant'], record['size'])}"
    slug = "".join(c if c.isalnum() else "-" for c in device.lower()).removeprefix("nvidia-")
    how = [] if record.get("trained", True) else ["random"]
    how += [safe(record["inputs"])] if record.get("inputs", SYNTHETIC) != SYNTHETIC else []
    how += [record["effort"]] if record["effort"] != "standard" else []
    how += [f"p{record['processes']}"] if record["processes"] > 1 else []
    return (
        f"speed-{who}-{record['tier']}-b{record['batch']}-{record['precision']}-{record['mode']}"
        f"-torch{torch_version}{cuda}-{'-'.join([slug, *how])}"
    )


# where inputs come from when nobody says
SYNTHETIC = "synthetic"


def safe(name: str) -> str:
    """As part of a file's name: `nets.py:small` is `nets--small`, which no method's variant is called."""
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in name.replace(":", "--"))

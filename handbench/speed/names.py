"""The name of a record's file is its condition, as timm names its results."""

from __future__ import annotations

from typing import Any

from handbench import places


def file_name(record: dict[str, Any]) -> str:
    machine = record["machine"]
    torch_version = machine["torch"].split("+")[0]
    cuda = f"-cu{machine['cuda'].replace('.', '')}" if machine["kind"] == "cuda" else ""
    device = machine["device"] if machine["kind"] == "cuda" else f"cpu{machine['threads']}"
    who = record["method"]
    if "variant" in record:
        who += f"-{places.row_label(record['variant'], record['size'])}"
    effort = "" if record["effort"] == "standard" else f"-{record['effort']}"
    slug = "".join(c if c.isalnum() else "-" for c in device.lower()).removeprefix("nvidia-")
    return (
        f"speed-{who}-{record['tier']}-b{record['batch']}-{record['precision']}-{record['mode']}"
        f"-torch{torch_version}{cuda}-{slug}{effort}"
    )

"""Speed records: what one is called, and those on disk. (Measuring them needs torch; reading them does not.)"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from handbench.console import warn
from handbench.errors import InvalidError
from handbench.evaluation.result import row_name
from handbench.store.records import read_json


def headline(record: dict[str, Any]) -> bool:
    """Tier T1 at batch 1, in the eager fp32 mode that every measurement begins with: what a table prints."""
    wanted = {"tier": "T1", "batch": 1, "mode": "eager", "precision": "fp32"}
    return all(record.get(key, value) == value for key, value in wanted.items()) and "tier" in record


def called(record: dict[str, Any]) -> str:
    """A timed row's name in words."""
    words = row_name({key: record[key] for key in ("method", "variant", "size") if key in record})
    return words if record.get("trained", True) else f"{words} (random weights)"


def inference_parameters(record: dict[str, Any]) -> int:
    """How many parameters inference uses: all but those that only training has."""
    return int(record["cost"]["parameters"] - record["cost"]["training_only"])


# what tables and figures read of a record
NEEDED = (
    "made",
    "method",
    "tier",
    "batch",
    "mode",
    "precision",
    "effort",
    "n",
    "p50_ms",
    "p99_ms",
    "fps",
    "samples_wall_ms",
)


def read_speeds(folder: Path) -> list[dict[str, Any]]:
    """Every speed record in a folder, with the device's name beside the figures, and what inference takes: `params` in
    millions, `gmacs` in 10^9 multiply-adds.
    """
    records = []
    for path in sorted(folder.glob("speed-*.json")):
        try:
            record = read_json(path, "The speed record")
            cost = record["cost"]
            if not all(key in record for key in NEEDED) or not {"threads", "torch"} <= set(record["machine"]):
                raise KeyError
            records.append(
                {
                    **record,
                    "device": record["machine"]["device"],
                    "params": inference_parameters(record) / 1e6,
                    # a network of somebody's own may not be countable
                    "gmacs": None if cost["macs"] is None else cost["macs"] / 1e9,
                }
            )
        except (InvalidError, KeyError, TypeError):
            warn(f"{path} is no speed record and is left out.")
    return records

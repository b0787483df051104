"""Speed records on disk, for tables. (Measuring them needs torch; reading them does not.)"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from handbench.console import warn
from handbench.errors import InvalidError
from handbench.store.records import read_json


def read_speeds(folder: Path) -> list[dict[str, Any]]:
    """Every speed record in a folder, with the device's name beside the figures, and what inference takes: `params` in
    millions, `gmacs` in 10^9 multiply-adds.
    """
    records = []
    for path in sorted(folder.glob("speed-*.json")):
        try:
            record = read_json(path, "The speed record")
            cost = record["cost"]
            records.append(
                {
                    **record,
                    "device": record["machine"]["device"],
                    "params": (cost["parameters"] - cost["training_only"]) / 1e6,
                    # a network of somebody's own may not be countable
                    "gmacs": None if cost["macs"] is None else cost["macs"] / 1e9,
                }
            )
        except (InvalidError, KeyError, TypeError):
            warn(f"{path} is no speed record and is left out.")
    return records

"""Speed records on disk, for tables. (Measuring them needs torch; reading them does not.)"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from handbench.console import warn
from handbench.errors import InvalidError
from handbench.store.records import read_json


def read_speeds(folder: Path) -> list[dict[str, Any]]:
    """Every speed record in a folder, with the device's name beside the figures."""
    records = []
    for path in sorted(folder.glob("speed-*.json")):
        try:
            record = read_json(path, "The speed record")
            records.append({**record, "device": record["machine"]["device"]})
        except (InvalidError, KeyError, TypeError):
            warn(f"{path} is no speed record and is left out.")
    return records

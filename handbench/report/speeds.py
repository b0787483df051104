"""Speed records on disk, for tables. (Measuring them needs torch; reading them does not.)"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from handbench.store.records import read_json


def read_speeds(folder: Path) -> list[dict[str, Any]]:
    """Every speed record in a folder, with the device's name beside the figures."""
    records = [read_json(path, "The speed record") for path in sorted(folder.glob("speed-*.json"))]
    return [{**record, "device": record["machine"]["device"]} for record in records]

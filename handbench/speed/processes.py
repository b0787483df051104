"""The same measurement in several fresh processes, in turn, and their samples as one record."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from handbench.console import say
from handbench.errors import HandbenchError, InvalidError, MissingError, UsageError
from handbench.speed.flags import flags
from handbench.speed.percentiles import summary
from handbench.store.records import read_json


def in_turn(methods: list[str], count: int, options: list[str], folder: Path) -> list[dict[str, Any]]:
    """`handbench speed METHOD`, A B A B: `count` processes each. Each leaves its records in `folder/K`.

    A process that fails ends it all with its own words; what the others have measured stays in their folders.
    """
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for k in range(count):
        for place, method in enumerate(methods):
            say(f"Process {k + 1} of {count}: {method}.")
            out = folder / str(k + 1)
            records = out / f"{place}.json"
            command = [sys.executable, "-m", "handbench", "speed", method, *options]
            command += ["--out", str(out), "--json", str(records)]
            done = subprocess.run(command, stdout=subprocess.DEVNULL, env=os.environ, check=False)
            if done.returncode:
                raise _as_error(done.returncode, method)
            for record in read_json(records, "The speed record"):
                condition = (record["tier"], record["precision"], record["mode"])
                # by what was asked for: names may be alike
                found.setdefault((method, *condition), []).append(record)
    return [merged(records) for records in found.values()]


def merged(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Records of one condition -> one: p50 is the median of the processes' own, its interval over processes and blocks,
    the other percentiles are over all samples.

    `process_n` says how many of `samples_wall_ms` each process measured; cold start, first call and what the host and
    the device needed are medians too, and what is told of the rest of the process (stages, memory, machine) is of the
    first.
    """
    if len(records) == 1:
        return records[0]
    first = dict(records[0])
    wall = [np.asarray(record["samples_wall_ms"], float) for record in records]
    device = [record["samples_device_ms"] for record in records]
    first |= summary(wall)
    first |= {
        "processes": len(records),
        "process_n": [len(ms) for ms in wall],
        "process_p50_ms": [float(np.median(ms)) for ms in wall],
        "fps": records[0].get("frames_per_call", 1) * 1000.0 / first["p50_ms"],
        "ms_per_frame": first["p50_ms"] / records[0].get("frames_per_call", 1),
        "stationary": all(record["stationary"] for record in records),
        "measured_s": min(record["measured_s"] for record in records),
    }
    for key in ("cold_start_s", "first_ms", "host_p50_ms", "device_p50_ms"):
        if first[key] is not None:
            first[key] = float(np.median([record[key] for record in records]))
    first["samples_wall_ms"] = np.concatenate(wall)
    if device[0] is not None:
        first["samples_device_ms"] = np.concatenate([np.asarray(ms, float) for ms in device])
    # what any process had to say of its machine, and what is to be said of them all
    said = [warning for record in records[1:] for warning in record["warnings"] if warning.startswith(_OF_MACHINE)]
    first["warnings"] = list(dict.fromkeys([*flags(first), *said]))
    return first


_OF_MACHINE = ("throttled", "clock drift", "shared GPU", "busy machine")


def _as_error(code: int, method: str) -> HandbenchError:
    """The process has said why, on stderr."""
    kinds: dict[int, type[HandbenchError]] = {2: UsageError, 3: MissingError}
    return kinds.get(code, InvalidError)(f"The process that timed {method} ended with exit code {code}: see above.")

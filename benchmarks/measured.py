"""Run a command and print its wall time and peak memory as JSON: `measured.py LOG COMMAND...`.

A process of its own because it must be small: Linux counts the memory of whoever starts a process, up to its start, as
the new one's peak.
"""

import json
import os
import subprocess
import sys
import time

if __name__ == "__main__":
    log, *command = sys.argv[1:]
    with open(log, "wb") as said:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    # kilobytes; macOS says bytes
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    cpu = usage.ru_utime + usage.ru_stime
    print(json.dumps({"code": process.returncode, "seconds": seconds, "cpu_seconds": cpu, "peak_bytes": peak}))

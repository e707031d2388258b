"""The enrich stage's look-up in PyFlink, a process of its own.

PyFlink's requirements do not go with ours, so it lives in an environment of its own, `.venv-flink`, which
`make bench-flink` makes. `benchmarks.async_io` measures it wherever that is there.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Final

__all__ = ["installed", "run_job"]

_PYTHON: Final = Path(__file__).resolve().parents[2] / ".venv-flink/bin/python"
_LIMIT_S: Final = 300


def installed() -> bool:
    """Tell whether PyFlink's environment is there."""
    return (_PYTHON.parents[1] / ".ready").exists()


def run_job(folder: Path, records: int, capacity: int) -> dict[str, float]:
    """Run `flink_job.py` once.

    Args:
        folder: For its result.
        records: How many look-ups.
        capacity: How many at a time.

    Returns:
        `records_per_s` and `cpu_us_per_record`, those of PyFlink's Python process.

    Raises:
        RuntimeError: It failed; with the end of what it printed.
    """
    file = folder / f"pyflink-{capacity}-{time.monotonic_ns()}.json"
    job = Path(__file__).with_name("flink_job.py")
    command = [str(_PYTHON), str(job), str(records), str(capacity), str(file)]
    # Flink starts its Python processes by name.
    env = os.environ | {"PATH": f"{_PYTHON.parent}:{os.environ['PATH']}"}
    env.pop("PYTHONPATH", None)
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    if done.returncode or not file.exists():
        raise RuntimeError(f"PyFlink failed:\n{(done.stdout + done.stderr)[-3000:]}")
    result: dict[str, float] = json.loads(file.read_text())
    return result

"""A worker whose threads do not end is ended, so that it keeps no partitions."""

from __future__ import annotations

import subprocess
import sys

HANGS = """
import threading
from agents.hard_stop import end_process_after

threading.Thread(target=threading.Event().wait).start()
end_process_after(0.2)
"""

ENDS = """
from agents.hard_stop import end_process_after

end_process_after(60)
"""


def test_process_with_a_thread_that_hangs_is_ended() -> None:
    done = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "ended hard" in done.stderr


def test_process_that_ends_by_itself_is_left_alone() -> None:
    done = subprocess.run([sys.executable, "-c", ENDS], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")

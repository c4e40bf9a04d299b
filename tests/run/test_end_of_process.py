"""A process ends soon after its last line."""

from __future__ import annotations

import subprocess
import sys

from helpers import REPO

CODE = """
import atexit, gc, runpy, sys
atexit.register(lambda: print("frozen:", gc.get_freeze_count() > 0, "at the end"))  # made first, it is called last
sys.argv = ["aigp_lightning", "--version"]
runpy.run_module("aigp_lightning", run_name="__main__")
"""


def test_the_interpreter_does_not_search_for_cycles_before_it_ends() -> None:
    """With torch, Lightning and Ultralytics loaded that took 5 s of a busy machine, after everything was done."""
    done = subprocess.run([sys.executable, "-c", CODE], cwd=REPO, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "frozen: True at the end"

"""The console script `aigp-lightning`: `python -m aigp_lightning` by a shorter name."""

from __future__ import annotations

import runpy


def main() -> None:
    """Run the package as `python -m aigp_lightning` does, which ends the process with its status.

    It becomes the process's `__main__`, by its name and not by this script's path: whatever starts further processes of
    a run (Lightning for several devices, multiprocessing for loaders) reads there how to start them, and the launcher
    that Windows has in the place of a script is no Python file.
    """
    runpy.run_module("aigp_lightning", run_name="__main__", alter_sys=True)

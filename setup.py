"""Puts the configurations and the documentation into the wheel, where `init` finds them; all else is in pyproject.toml.

In a checkout, and so in an editable installation, they are found where they are.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = ("configs", "docs")


class BuildWithFolders(build_py):
    """Builds the package, with copies of the folders beside it."""

    def run(self) -> None:
        """Copy the folders behind the package's own files."""
        super().run()
        if not self.editable_mode:
            for name in SHIPPED:
                target = Path(self.build_lib, "aigp_lightning", name)
                shutil.rmtree(target, ignore_errors=True)  # of an earlier build
                shutil.copytree(Path(__file__).parent / name, target)


setup(cmdclass={"build_py": BuildWithFolders})

"""Keeps Ultralytics' logger quiet: what a user should know, this project says itself.

Imported by every file of this room that imports Ultralytics.
"""

from ultralytics.utils import LOGGER

LOGGER.setLevel("WARNING")

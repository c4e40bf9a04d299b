"""Ultralytics' YOLO: the only room that imports Ultralytics."""

import logging

from aigp_lightning.run.versions import check_version

SETTINGS_NOTICES = ("Creating new Ultralytics Settings", "Ultralytics settings updated")


def is_wanted(record: logging.LogRecord) -> bool:
    """True if a record is not about Ultralytics' settings file, of which nothing is used here."""
    return not str(record.msg).startswith(SETTINGS_NOTICES)


# Ultralytics says so while it is imported, and this room is imported before; all its other messages stay.
logging.getLogger("ultralytics").addFilter(is_wanted)
check_version("ultralytics")  # before any file of this room imports it

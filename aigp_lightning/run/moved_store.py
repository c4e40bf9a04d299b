"""MLflow's folders of a run that was moved or copied: they name where artifacts go in full, and would go on there."""

from __future__ import annotations

import re
from pathlib import Path

from aigp_lightning.files import write_atomic
from aigp_lightning.logfiles.folders import REMOTE, logger_folders
from aigp_lightning.logfiles.run_config import read_yaml
from aigp_lightning.media.local_paths import folder_of_address

LINE = re.compile(r"^(artifact_(?:uri|location)): .*$", re.MULTILINE)


def follow_moved_stores(run: Path) -> None:
    """Let MLflow's folders within a run folder name this one, so that a resumed run writes nothing elsewhere.

    Places of the user's own, which are not where such a folder keeps artifacts by itself, stay.

    Args:
        run: the run folder; no other process writes there.
    """
    for server in {each.server for each in logger_folders(run, "mlflow")}:
        if not server or REMOTE in server or Path(server).is_absolute():
            continue
        for meta in (*(run / server).glob("*/meta.yaml"), *(run / server).glob("*/*/meta.yaml")):
            _follow(meta, run)


def _follow(meta: Path, run: Path) -> None:
    content, problem = read_yaml(meta)
    if problem or not isinstance(content, dict):
        return
    place = meta.parent / "artifacts" if "artifact_uri" in content else meta.parent
    named = folder_of_address(str(content.get("artifact_uri") or content.get("artifact_location")))
    inside = place.relative_to(run).parts
    if named is None or named == place.absolute() or named.parts[-len(inside) :] != inside:
        return
    text = LINE.sub(lambda found: f"{found[1]}: {place.absolute().as_uri()}", meta.read_text(encoding="utf-8"))
    write_atomic(meta, text.encode(), own=True)

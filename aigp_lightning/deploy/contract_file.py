"""`contract.json` beside exported files: their contract, and the SHA-256 of each, which covers its weights, too."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from aigp_lightning.deploy import runtime
from aigp_lightning.deploy.options import CONVERTED, GRAPHS
from aigp_lightning.files import sha256_of, write_atomic
from aigp_lightning.terminal.output import print_line

NAME = "contract.json"


def write_contract(
    folder: Path, fields: Mapping[str, Any], entries: Sequence[Mapping[str, Any]], with_runtime: bool = False
) -> None:
    """Write `contract.json` beside exported files, to be kept with the drone's own code; and a copy of `runtime.py`.

    Files of an earlier export that carry the same contract stay in it, unless they have changed since.

    Args:
        folder: of the files.
        fields: of their contract; nothing is written without.
        entries: of the files, see `exports_file.entry_of`.
        with_runtime: copy the runtime, too.

    Raises:
        OSError: it names the file.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_contract(Path(folder), {}, [])  # of weights files alone there is none
        ...     list(Path(folder).iterdir())
        []
    """
    if fields:
        sealed = runtime.seal(fields)
        digest, files = sealed[runtime.CONTRACT_HASH], _files(entries)
        content = {
            runtime.CONTRACT: json.loads(sealed[runtime.CONTRACT]),
            runtime.CONTRACT_HASH: digest,
            runtime.CONTRACT_FILES: {**_earlier(folder, digest), **files},
        }
        write_atomic(folder / NAME, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
        print_line(f"{folder / NAME}  (what must be the same on the drone; sha256 {digest[:12]}…)")
    if with_runtime:
        source = Path(runtime.__file__)
        write_atomic(folder / source.name, source.read_bytes())
        print_line(f"{folder / source.name}  (runs the .onnx by NumPy, OpenCV and ONNX Runtime alone)")


def _files(entries: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the SHA-256 of the files that carry a contract, and of what lies beside them, by name."""
    carrying = [entry for entry in entries if entry["format"] in (*GRAPHS, *CONVERTED)]
    return {
        name: said for entry in carrying for name, said in {entry["file"]: entry["sha256"], **entry["beside"]}.items()
    }


def _earlier(folder: Path, digest: str) -> dict[str, str]:
    """Return the files of the `contract.json` that is there, which carry the same contract and are unchanged."""
    content: Any = None
    with suppress(OSError, ValueError, RecursionError):
        content = json.loads((folder / NAME).read_bytes())
    if not isinstance(content, dict) or content.get(runtime.CONTRACT_HASH) != digest:
        return {}
    files = content.get(runtime.CONTRACT_FILES)
    found = {}
    for name, said in files.items() if isinstance(files, dict) else ():
        with suppress(OSError, ValueError):
            if name == Path(name).name and sha256_of(folder / name) == said:
                found[name] = said
    return found

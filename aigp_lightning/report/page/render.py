"""Write the page of a report: one HTML file with its data, its pictures and all of its scripts within."""

from __future__ import annotations

import base64
import json
import math
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Any, BinaryIO

from aigp_lightning.files import temporary_of

SCRIPTS = (
    "base.js",
    "tables.js",
    "images.js",
    "mosaics.js",
    "charts.js",
    "pictures.js",
    "large.js",
    "runs.js",
    "app.js",
)
"""The page's own scripts, in the order in which they are joined: each uses those before it."""
MIME_TYPES = ("image/jpeg", "image/png", "image/webp")
"""Of pictures that a page shows."""
PICTURE_ID = re.compile(r"[A-Za-z0-9_.-]+")
CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "img-src data: blob:",
        "style-src 'unsafe-inline'",
        "script-src 'unsafe-inline'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)
"""By it the browser itself refuses to load anything that is not in the file."""
ESCAPED = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026", 0x2028: "\\u2028", 0x2029: "\\u2029"}
"""In JSON within a page: no text can end the element it stands in, or begin a comment."""
GROUPS_OF_THREE = 3 * 2**16
"""Bytes that are encoded at once: base64 has no padding within."""


def write_page(path: Path, payload: dict[str, Any], pictures: Iterable[tuple[str, str, bytes]]) -> None:
    """Write a report's page atomically, a piece at a time: of the pictures one is in memory.

    Args:
        path: the file; its folder is made. A pipe or a device is written to as it is.
        payload: plain values, see `report/payload.py`; what is no finite number becomes null.
        pictures: id (letters, digits, `_`, `.` and `-`), MIME type and bytes of each.

    Raises:
        ValueError: an id or a MIME type cannot be shown, or an id comes twice.
        OSError: it names the file, and nothing was changed; also what the pictures raise.

    Example:
        >>> import tempfile
        >>> run = {"name": "gates", "task": "detect", "epochs": 3, "best_epoch": 2, "metrics": {}}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = Path(folder) / "report.html"
        ...     write_page(page, {"title": "<gates>", "runs": [run]}, [("p1", "image/png", b"...")])
        ...     text = page.read_text(encoding="utf-8")
        >>> "<title>&lt;gates&gt;</title>" in text, 'id="p-p1" data-mime="image/png">Li4u<' in text
        (True, True)
    """
    with _written(path) as file:
        for piece in _pieces(payload, pictures):
            file.write(piece.encode("utf-8", "replace"))


def page_json(payload: Any) -> str:
    r"""Return values as JSON that can stand within a page.

    Args:
        payload: plain values; what is no finite number becomes null.

    Example:
        >>> print(page_json({"a": "</script><!--", "b": float("nan")}))
        {"a":"\u003c/script\u003e\u003c!--","b":null}
    """
    try:
        text = json.dumps(payload, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(_finite(payload), allow_nan=False, separators=(",", ":"))
    return text.translate(ESCAPED)


def _finite(value: Any) -> Any:
    """Return values with None in place of what is no finite number."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, (list, tuple)) else value


def _pieces(payload: dict[str, Any], pictures: Iterable[tuple[str, str, bytes]]) -> Iterator[str]:
    """Yield the page, piece by piece."""
    from jinja2 import Environment, PackageLoader
    from plotly.offline import get_plotlyjs

    environment = Environment(loader=PackageLoader(__package__, "assets"), autoescape=True, trim_blocks=True)
    environment.filters["figure"] = _figure
    assets = files(__package__) / "assets"
    script = "\n".join((assets / name).read_text(encoding="utf-8") for name in SCRIPTS)
    yield from environment.get_template("page.html.j2").generate(
        report=payload,
        policy=CONTENT_POLICY,
        style=(assets / "style.css").read_text(encoding="utf-8"),
        data=page_json(payload),
        script=script,
        plotly=_within_script(get_plotlyjs()),
        pictures=_encoded(pictures),
    )


def _figure(value: Any) -> str:
    """Return a metric as the page's head shows it."""
    return f"{value:.4f}" if isinstance(value, float) and math.isfinite(value) else "–" if value is None else str(value)


def _within_script(text: str) -> str:
    """Return a script's text such that no string in it ends its element; plotly's has none, so far."""
    return re.sub(r"<(?=/script|!--|script)", r"\\x3c", text, flags=re.IGNORECASE)


def _encoded(pictures: Iterable[tuple[str, str, bytes]]) -> Iterator[tuple[str, str, Iterator[str]]]:
    """Yield the pictures in base64, each in pieces."""
    seen: set[str] = set()
    for name, mime, data in pictures:
        if not PICTURE_ID.fullmatch(name) or name in seen:
            raise ValueError(f"{name!r} is no id of a picture, or comes twice")
        if mime not in MIME_TYPES:
            raise ValueError(f"{mime!r} is no type of a picture that a page shows")
        seen.add(name)
        yield name, mime, _base64(data)


def _base64(data: bytes) -> Iterator[str]:
    for start in range(0, len(data), GROUPS_OF_THREE):
        yield base64.b64encode(data[start : start + GROUPS_OF_THREE]).decode("ascii")


@contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    """Open a file beside the target, and move it into place when all of it is on the disk."""
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    path = path.resolve() if path.is_symlink() else path
    temporary = temporary_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.filename in (None, str(temporary)):  # else it is a picture's that could not be read
            error.filename = str(path)
        raise
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)

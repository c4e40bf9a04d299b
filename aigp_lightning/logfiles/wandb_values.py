"""Values in W&B's records: JSON in pieces, put together again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TypeVar

Number = TypeVar("Number", int, None)
LARGEST = 1 << 63
DEEPEST = 50
"""Levels of a value in which media files are looked for; W&B's own have four."""


def plain(message: Any) -> dict[str, Any]:
    """Turn a message into plain data; fields that are W&B's own are left out."""
    from google.protobuf.json_format import MessageToDict

    content: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return {key: value for key, value in content.items() if not key.startswith("_")}


def nest(into: dict[str, Any], items: Any) -> None:
    """Put items back together: W&B writes a dict as one item for each of its leaves."""
    for item in items:
        *outer, last = list(item.nested_key) or [item.key]
        place = into
        for name in outer:
            inner = place.setdefault(name, {})
            if not isinstance(inner, dict):
                inner = place[name] = {}
            place = inner
        place[last] = _value(item)


def _value(item: Any) -> Any:
    """Read a value; some of W&B's versions have fields for plain ones beside JSON."""
    text = item.value_json
    if not text:
        kind = next((name for name in ("boolean", "integer", "number", "text", "json") if _has(item, name)), None)
        if kind != "json":
            return None if kind is None else getattr(item, kind)
        text = item.json
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def integer(value: Any, otherwise: Number) -> int | Number:
    """Convert a value to an integer; returns `otherwise` if it is no number, no finite one, or has over 64 bits."""
    try:
        return int(value) if isinstance(value, int | float) and abs(value) < LARGEST else otherwise
    except ValueError:  # NaN
        return otherwise


def _has(item: Any, name: str) -> bool:
    return name in item.DESCRIPTOR.fields_by_name and bool(item.HasField(name))


def media_files(value: Any, deep: int = 0) -> Iterator[tuple[str, str, str, int]]:
    """Yield every media file in a value, at any depth: name of a picture's boxes or nothing, path, SHA-256, size."""
    if not isinstance(value, dict) or deep > DEEPEST:
        return
    if "_type" in value and isinstance(value.get("path"), str):
        yield "", value["path"], str(value.get("sha256", "")), integer(value.get("size"), 0)
        boxes = value.get("boxes")
        for name, inner in boxes.items() if isinstance(boxes, dict) else ():
            for _, path, digest, size in media_files(inner, deep + 1):
                yield f".{name}", path, digest, size
    elif "_type" in value and isinstance(value.get("filenames"), list):
        yield from (("", str(name), "", 0) for name in value["filenames"])
    else:
        for inner in value.values():
            yield from media_files(inner, deep + 1)

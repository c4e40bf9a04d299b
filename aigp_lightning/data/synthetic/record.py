"""The options that a synthetic data set was made with, in the first line of its data.yaml."""

from __future__ import annotations

from pathlib import Path

from aigp_lightning.data.synthetic.options import OF_PICTURES, MakeDataOptions

HEADER = "# made by aigp_lightning make-data"
SINCE = ("profile", "keypoints", "sequences", "empty_flights", "frames", "fps")
"""Options that earlier versions had not; written only where they are not as usual."""
RECORDED = ("task", "train", "val", "test", "imgsz", "backgrounds", "seed", *SINCE)
MAX_HEADER = 1000
"""Most bytes that are read of the first line."""


def recorded_values(options: MakeDataOptions) -> dict[str, str]:
    """Return as text the options that decide what a data set holds.

    Example:
        >>> recorded_values(MakeDataOptions(imgsz=(64, 36)))["imgsz"]
        '64x36'
    """
    return {name: _plain(getattr(options, name)) for name in RECORDED}


def header(options: MakeDataOptions) -> str:
    """Write the first line of a data.yaml.

    Example:
        >>> header(MakeDataOptions())[:65]
        '# made by aigp_lightning make-data: task=detect, train=512, val=1'
    """
    values = recorded_values(options)
    usual = recorded_values(MakeDataOptions())
    names = [name for name in RECORDED if name not in SINCE or values[name] != usual[name]]
    if options.sequences:
        names = [name for name in (*names, "frames", "fps") if name not in OF_PICTURES]
    return f"{HEADER}: " + ", ".join(f"{name}={values[name]}" for name in dict.fromkeys(names))


def read_header(file: Path) -> dict[str, str]:
    r"""Read back the options of `header`, as text; none of a file that make-data has not written.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(dir="."), "data.yaml")
        >>> _ = file.write_text(header(MakeDataOptions(train=8)) + "\ntrain: images/train")
        >>> read_header(file) == recorded_values(MakeDataOptions(train=8))
        True
    """
    try:
        with file.open("rb") as opened:
            line = opened.readline(MAX_HEADER).decode(errors="replace").strip()
    except OSError:
        return {}
    if not line.startswith(f"{HEADER}: "):
        return {}
    pairs = (pair.partition("=") for pair in line.removeprefix(f"{HEADER}: ").split(", "))
    given = {name: value for name, found, value in pairs if found and name in RECORDED}
    usual = recorded_values(MakeDataOptions())
    return {name: usual[name] for name in SINCE} | given


def _plain(value: object) -> str:
    """Write an option's value; sizes as 640x360."""
    if isinstance(value, (tuple, list)):
        return "x".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)

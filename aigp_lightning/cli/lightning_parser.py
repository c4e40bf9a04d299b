"""The parser of Lightning's verbs. A file of its own, since other verbs do without Lightning."""

from __future__ import annotations

from lightning.pytorch.cli import LightningArgumentParser

from aigp_lightning.cli.parser import StrictParser


class StrictLightningParser(StrictParser, LightningArgumentParser):  # type: ignore[misc]
    """Takes no short forms, below a model's or a logger's options neither: `--model.gains.pos` is a typo."""

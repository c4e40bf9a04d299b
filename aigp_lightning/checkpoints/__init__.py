"""Checkpoint files: written atomically, read as data, their schema."""

from aigp_lightning.checkpoints.load import read_checkpoint

__all__ = ["read_checkpoint"]

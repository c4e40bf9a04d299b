"""Checkpoint files: written atomically, read as data, their schema."""

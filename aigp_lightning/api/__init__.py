"""Trained models in a script: `from aigp_lightning import load`."""

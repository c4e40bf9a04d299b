"""Readers of W&B's and TensorBoard's files, for resuming and for auditing alike."""

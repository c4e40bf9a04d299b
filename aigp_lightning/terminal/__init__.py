"""Parts of live views in the terminal, for training detectors and policies alike."""

"""Train autonomous-racing models on PyTorch Lightning, in charge of every picture that leaves the machine."""

import os

# Ultralytics and Albumentations look for updates over the network when they are imported, and read these switches at
# that moment. This file runs before either can be, so nothing here ever asks. A user's own value wins.
os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

__version__ = "0.1.0"

"""The files that `predict` writes: pictures, videos, text and JSON."""

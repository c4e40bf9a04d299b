"""What `predict` writes: pictures, videos, text and JSON."""

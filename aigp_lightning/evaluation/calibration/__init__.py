"""Thresholds chosen from frames: the network runs once, and what it found is judged at every combination of them."""

"""Drawing: pure functions from arrays to a picture."""

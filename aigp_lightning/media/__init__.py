"""Pictures: what is drawn. Arrays in, picture out; no trainer and no logger."""

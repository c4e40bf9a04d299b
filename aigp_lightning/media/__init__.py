"""The way of a picture: render job, rendered image, delivery, ledger. No trainer, and loggers in `sinks/` alone."""

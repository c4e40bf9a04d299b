"""From the configuration to loggers: what is filled in, and what W&B may see."""

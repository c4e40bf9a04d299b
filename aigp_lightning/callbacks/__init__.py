"""WHEN something happens: Lightning callbacks, one a file."""

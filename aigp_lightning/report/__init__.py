"""A report of runs: one HTML file that opens from disk and loads nothing from anywhere."""

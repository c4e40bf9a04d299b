"""The page of a report: template, style and scripts, put together into one file."""

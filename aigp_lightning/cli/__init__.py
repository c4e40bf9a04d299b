"""The command line: a table of verbs, and a file for each."""

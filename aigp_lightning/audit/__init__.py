"""The audit of a finished run: its pictures, read back from files and loggers, compared with the ledger."""

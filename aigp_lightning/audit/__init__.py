"""What a finished run drew and handed over, read back from the files themselves and held against the ledger."""

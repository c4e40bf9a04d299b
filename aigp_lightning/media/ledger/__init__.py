"""The ledger of what was drawn and delivered: its file, its anchor, its signatures."""

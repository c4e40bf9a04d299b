"""The model store: versions with receipts, and what decides which of them is the latest."""

"""Splits a data set into training, validation and test pictures, as list files; nothing is moved or copied."""

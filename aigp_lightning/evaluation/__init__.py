"""Trained models and exported files measured on a data set, and differences between two of them."""

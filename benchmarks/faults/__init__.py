"""Faults injected into real runs."""

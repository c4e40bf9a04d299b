"""Hands over later what a run kept to itself, from its folder and under its own rules."""

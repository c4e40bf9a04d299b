"""Patterns by which a user names images, and the images that they mean."""

"""Rigid targets: where keypoints are on the object, and what follows from it for labels."""

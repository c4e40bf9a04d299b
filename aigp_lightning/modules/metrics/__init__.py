"""Metrics of a validation: boxes, keypoints, confusion matrix, corner errors."""

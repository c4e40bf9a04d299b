"""Ultralytics' YOLO: the only room that imports Ultralytics."""

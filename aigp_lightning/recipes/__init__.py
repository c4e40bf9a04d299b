"""Recipes of other programs, turned into configurations of ours: Ultralytics' settings, key by key."""

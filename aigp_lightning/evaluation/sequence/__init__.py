"""A model measured on frames in order: how steady what it finds is, labelled or not."""

"""Data sets, labels, samples, augmentation and loaders: everything between a folder of images and a batch."""

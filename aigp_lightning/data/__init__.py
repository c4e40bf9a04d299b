"""WHAT the model sees: data sets, samples, augmentation, loaders."""

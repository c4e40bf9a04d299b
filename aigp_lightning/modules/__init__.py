"""HOW it learns: modules, optimizer, metrics."""

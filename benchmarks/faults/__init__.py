"""What goes wrong, done to real runs."""

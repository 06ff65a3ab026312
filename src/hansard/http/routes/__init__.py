"""One module for each thing a path begins with."""

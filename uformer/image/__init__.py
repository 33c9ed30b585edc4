"""Image files: pixels with their metadata, read from files and written to files."""

"""Pictures: pixels with all that comes with them, read from files and written to files."""

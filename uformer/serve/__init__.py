"""`uformer serve`: an HTTP API for restoring images, and a web page that uses it."""

"""`uformer serve`: the restorer over HTTP, and a page that uses it."""

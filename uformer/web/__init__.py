"""The web page as a static site that restores images in the browser, without a server."""

"""Restoring: from an image in any form to the restored image in the same form."""

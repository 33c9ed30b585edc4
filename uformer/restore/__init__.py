"""Restoration: takes an image in any form and returns the restored image in the same form."""

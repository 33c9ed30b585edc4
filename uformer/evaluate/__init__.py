"""Evaluating: how well weights restore, by the protocols in which numbers are published."""

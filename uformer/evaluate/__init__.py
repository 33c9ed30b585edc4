"""Evaluation: measuring how well weights restore, with the protocols of published results."""

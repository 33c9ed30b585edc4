"""Weights: checkpoints, the original authors' files, and the registry of weights that ship."""

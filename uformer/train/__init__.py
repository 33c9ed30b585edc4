"""Train a network: recipes, the training loop, and the run folder."""

"""Train a network: recipes, the loop, and the folder of a run."""

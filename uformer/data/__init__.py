"""Training data: pairs of files or clean images, decoded once and cut into patches."""

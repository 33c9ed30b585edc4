"""Degradations: pure functions (clean, rng, parameters) -> degraded, on float32 (H, W, 3) in [0, 1]."""

"""Degradations: pure functions of (clean, rng, parameters) that return the degraded image.

Images are float32 (H, W, 3) in [0, 1].
"""

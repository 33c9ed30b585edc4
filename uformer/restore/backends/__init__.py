"""Who computes: OpenVINO on any CPU, torch on a GPU. Each takes tiles and gives them back restored (see base.py)."""

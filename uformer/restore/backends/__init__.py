"""The inference backends: OpenVINO on a CPU, torch, mainly on a GPU, and onnxruntime for .onnx files.

Each takes tiles and returns them restored (see base.py).
"""

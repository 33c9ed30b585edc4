"""Export: weights as a file for other programs (ONNX, OpenVINO, torch.export), run and compared before it is kept."""

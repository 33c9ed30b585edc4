"""Export of weights as ONNX, OpenVINO or torch.export files, which are compared with the network before use."""

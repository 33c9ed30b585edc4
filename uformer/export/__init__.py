"""Export of weights as ONNX, OpenVINO or torch.export files, each compared with the network."""

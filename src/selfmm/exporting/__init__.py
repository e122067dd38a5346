"""Export a trained run as one ONNX file, which scores clips without selfmm and PyTorch."""

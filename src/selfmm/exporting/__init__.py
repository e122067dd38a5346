"""From a trained run to one ONNX file that scores clips without selfmm and without PyTorch."""

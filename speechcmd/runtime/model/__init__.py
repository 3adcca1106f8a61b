"""The model file: its card, its bytes, the network in onnxruntime."""

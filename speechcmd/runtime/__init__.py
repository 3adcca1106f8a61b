"""What a device needs: model file, recogniser, decoder and output formats (numpy and onnxruntime only)."""

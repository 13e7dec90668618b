"""Training side of vocode: recordings in, a bundle of ONNX graphs out."""

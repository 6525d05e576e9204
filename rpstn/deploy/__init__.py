"""Trained models outside of PyTorch: ONNX graphs, and the engines that compute them."""

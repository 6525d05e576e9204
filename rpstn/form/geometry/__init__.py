"""Geometry of skeletons: pure functions on arrays and tensors alike."""

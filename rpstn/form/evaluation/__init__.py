"""How good a recognizer is; importing this registers the metric."""

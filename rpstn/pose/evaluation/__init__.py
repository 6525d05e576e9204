"""How good joints in video are; importing this registers the metrics."""

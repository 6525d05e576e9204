"""RPSTN and its parts; importing this registers them."""

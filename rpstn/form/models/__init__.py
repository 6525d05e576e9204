"""Recognizers of exercise form and their parts; importing this registers them."""

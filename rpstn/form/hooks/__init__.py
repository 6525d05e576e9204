"""What happens beside training and testing; importing this registers the hooks."""

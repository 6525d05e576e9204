"""What Python users and the tools call."""

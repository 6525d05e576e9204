"""Whatever shows people in, their joints out: frame by frame, and as files."""

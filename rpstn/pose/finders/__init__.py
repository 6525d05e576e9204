"""Who says where people are, for streams."""

"""Where data sets lie, and their annotations as plain arrays."""

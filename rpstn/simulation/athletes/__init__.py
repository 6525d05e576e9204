"""Bodies and how they move."""

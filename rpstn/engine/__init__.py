"""A config run: training, testing, loading, and running fast on a CPU."""

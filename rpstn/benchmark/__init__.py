"""Speed, measured in turns, in one run on one machine."""

"""RPSTN on live video: frame by frame, nothing of the future needed."""

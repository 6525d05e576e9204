"""`rpstn serve`: a page on this machine that takes a video and gives the report."""

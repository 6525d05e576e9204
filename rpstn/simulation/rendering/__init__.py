"""From a body and a camera to a picture."""

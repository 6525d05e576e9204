"""Frames in, out of files, images, cameras and streams; videos out."""

"""Squats of given form, as 3D joints."""

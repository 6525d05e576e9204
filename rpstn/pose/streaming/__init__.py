"""RPSTN on live video: frame by frame, nothing of the future needed."""

from .streaming import Stepper, StreamingRPSTN, TorchStepper

__all__ = ['Stepper', 'StreamingRPSTN', 'TorchStepper']

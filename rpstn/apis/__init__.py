"""What Python users and the tools call."""
from __future__ import annotations

from importlib import import_module

# Looked up when asked for: importing the package alone must not need MMPose.
_PLACES = dict(PoseInferencer='inferencer', FrameResult='results', PersonResult='results',
               load_model='models')

__all__ = ['FrameResult', 'PersonResult', 'PoseInferencer', 'load_model']


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'.{_PLACES[name]}', __name__), name)

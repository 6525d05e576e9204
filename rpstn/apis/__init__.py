"""What Python users call, in one place; the work is done in other rooms."""

from __future__ import annotations

from importlib import import_module

# Looked up when asked for: importing the package alone must not need MMPose.
_PLACES = dict(
    PoseInferencer='rpstn.inference.inferencer',
    FrameResult='rpstn.results',
    PersonResult='rpstn.results',
    load_model='rpstn.engine.loading',
)

__all__ = ['FrameResult', 'PersonResult', 'PoseInferencer', 'load_model']


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(_PLACES[name]), name)

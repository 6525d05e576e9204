"""RPSTN: pose estimation in video and exercise form, as a plugin of MMPose and MMAction2.

Importing this package makes the OpenMMLab stack work (:mod:`rpstn.compat`) and has its registries
find all components (:mod:`rpstn.registration`), so it comes before any import of theirs. Nothing
of the stack is imported by that.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

from rpstn import compat, registration
from rpstn.version import __version__

if TYPE_CHECKING:
    from rpstn.engine.loading import load_model
    from rpstn.engine.shipped import from_pretrained
    from rpstn.inference.inferencer import PoseInferencer
    from rpstn.pose.streaming.streaming import StreamingRPSTN
    from rpstn.results import FrameResult, PersonResult

# Or ONNX Runtime (1.31) tells its makers of every model that it runs, and numbers the device.
os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')
compat.apply()
registration.register()

# Looked up when asked for: they need the stack, which takes seconds to import.
_PLACES = dict(
    FrameResult='rpstn.results',
    PersonResult='rpstn.results',
    PoseInferencer='rpstn.inference.inferencer',
    StreamingRPSTN='rpstn.pose.streaming.streaming',
    from_pretrained='rpstn.engine.shipped',
    load_model='rpstn.engine.loading',
)
_ROOMS = (
    'apis',
    'assess',
    'benchmark',
    'deploy',
    'engine',
    'form',
    'inference',
    'lift',
    'pose',
    'simulation',
    'video',
)


def __getattr__(name: str) -> object:
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    if name in _ROOMS:
        return import_module(f'{__name__}.{name}')
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


__all__ = [
    'FrameResult',
    'PersonResult',
    'PoseInferencer',
    'StreamingRPSTN',
    '__version__',
    'assess',
    'from_pretrained',
    'load_model',
]

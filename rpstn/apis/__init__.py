"""What Python users call, in one place, as MMPose's habit is; the work is done in other rooms."""

from typing import TYPE_CHECKING

import rpstn

if TYPE_CHECKING:
    from rpstn import (
        FrameResult,
        PersonResult,
        PoseInferencer,
        StreamingRPSTN,
        from_pretrained,
        load_model,
    )

__all__ = [
    'FrameResult',
    'PersonResult',
    'PoseInferencer',
    'StreamingRPSTN',
    'assess',
    'from_pretrained',
    'load_model',
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(rpstn, name)

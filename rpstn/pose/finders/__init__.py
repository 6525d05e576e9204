"""Who says where people are, for streams: BlazePose's detector, another, motion, or nobody."""

from collections.abc import Sequence

from rpstn.choices import FINDERS
from rpstn.errors import SettingError

from ..boxes import parse_box
from .base import FinderError, FoundPerson, PersonFinder, WholeFrame
from .blazepose import BlazePoseFinder
from .mediapipe import MediaPipeFinder
from .motion import MotionFinder
from .rtmdet import RTMDetFinder

__all__ = [
    'BlazePoseFinder',
    'FinderError',
    'FoundPerson',
    'MediaPipeFinder',
    'MotionFinder',
    'PersonFinder',
    'RTMDetFinder',
    'WholeFrame',
    'build_finder',
    'default_finder',
]


def build_finder(name: str, **options: object) -> PersonFinder:
    """A finder by name.

    Args:
        name: one of :data:`rpstn.choices.FINDERS`: ``'blazepose'``, ``'frame'``, ``'motion'``,
            ``'mediapipe'`` or ``'rtmdet'``.
        **options: of :class:`BlazePoseFinder`, :class:`MotionFinder`, :class:`MediaPipeFinder` or
            :class:`RTMDetFinder`.

    Raises:
        SettingError: no finder has that name.
        FinderError: what it needs is not installed, or its files give no detector.
        ModelError: a checkpoint cannot be read safely, or is damaged.
    """
    if name not in FINDERS:
        raise SettingError(f'a finder must be one of {", ".join(FINDERS)}, got {name!r}')
    kinds = (BlazePoseFinder, WholeFrame, MotionFinder, MediaPipeFinder, RTMDetFinder)
    return dict(zip(FINDERS, kinds))[name](**options)


def default_finder(box: str | Sequence[float], people: int) -> str | None:
    """Which finder RPSTN-Lite takes if none is named; none where nobody is left to be found.

    Args:
        box: see :func:`rpstn.pose.boxes.parse_box`.
        people: followed at a time.

    Raises:
        BoxError: it is none.
    """
    return 'blazepose' if parse_box(box)[0] or people > 1 else None

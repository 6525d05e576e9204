"""Who says where people are, for streams: the whole frame, motion, or somebody else's detector."""

from rpstn.choices import FINDERS
from rpstn.errors import SettingError

from .base import FinderError, PersonFinder, WholeFrame
from .mediapipe import MediaPipeFinder
from .motion import MotionFinder
from .rtmdet import RTMDetFinder

__all__ = [
    'FinderError',
    'MediaPipeFinder',
    'MotionFinder',
    'PersonFinder',
    'RTMDetFinder',
    'WholeFrame',
    'build_finder',
]


def build_finder(name: str, **options: object) -> PersonFinder:
    """A finder by name.

    Args:
        name: one of :data:`rpstn.choices.FINDERS`: ``'frame'``, ``'motion'``, ``'mediapipe'`` or
            ``'rtmdet'``.
        **options: of :class:`MotionFinder`, :class:`MediaPipeFinder` or :class:`RTMDetFinder`.

    Raises:
        SettingError: no finder has that name.
        FinderError: what it needs is not installed, or its files give no detector.
        ModelError: a checkpoint cannot be read safely.
    """
    if name not in FINDERS:
        raise SettingError(f'a finder must be one of {", ".join(FINDERS)}, got {name!r}')
    kinds = dict(zip(FINDERS, (WholeFrame, MotionFinder, MediaPipeFinder, RTMDetFinder)))
    return kinds[name](**options)

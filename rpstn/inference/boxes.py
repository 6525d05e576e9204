"""Where to look for the person in a video that no detector has seen.

Boxes are x1 y1 x2 y2, in 0-based image pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rpstn.pose.streaming.person_box import BoxError, FixedBox, FollowedBox, whole_frame

__all__ = ['MODES', 'BoxError', 'FixedBox', 'FollowedBox', 'parse_box', 'whole_frame']

MODES = "'frame', 'follow', 'x1,y1,x2,y2' or 'follow:x1,y1,x2,y2'"


def parse_box(text: str | Sequence[float]) -> tuple[bool, np.ndarray | None]:
    """What a box option asks for.

    Args:
        text: ``'frame'``, the whole image; ``'x1,y1,x2,y2'`` or four numbers, the same box for
            every frame; ``'follow'``, starting at the whole image, or ``'follow:x1,y1,x2,y2'``.

    Returns:
        Whether to follow the joints, and the box (4,) given, or None for the whole image.

    Raises:
        BoxError: it is none of these, or a box without area.
    """
    given = text if isinstance(text, str) else ','.join(map(str, text))
    mode, _, numbers = given.partition(':') if given.startswith('follow') else ('', '', given)
    if given in ('frame', 'follow'):
        return given == 'follow', None
    try:
        box = np.array([float(number) for number in numbers.split(',')], np.float32)
    except ValueError:
        box = np.empty(0)
    if mode not in ('', 'follow') or box.shape != (4,) or not np.isfinite(box).all():
        raise BoxError(f'the box must be {MODES}, got {given!r}')
    if (box[2:] <= box[:2]).any():
        raise BoxError(f'a box needs x1 < x2 and y1 < y2, got {given!r}')
    return mode == 'follow', box

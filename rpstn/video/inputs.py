"""What a person may name as input, and how it is opened.

    squat.mp4             a video file
    photo.jpg             an image
    frames/               a folder of images, which are the frames of one video, in natural order
    videos/               a folder of videos: each by itself; images beside them are left out
    'shots/*.png'         a glob of images: the frames of one video, in natural order
    'videos/*.mp4'        a glob of videos, images or folders: each by itself
    0, camera:1           a camera, by its number
    rtsp://, http://...   a live stream: RTSP, or a network camera's over HTTP; also rtsps, rtmp,
                          udp, tcp, https

Animated pictures (GIF, PNG, WebP) are videos. A file that is named like a camera, '0', is the file.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Callable
from pathlib import Path

from rpstn.files import is_stray
from rpstn.names import hide_password

from .animations import is_animated
from .frames import FrameSource, by_name, images_in, is_image, open_frames, open_images
from .live import LiveSource
from .part import WHOLE, Part
from .structures import UnreadableFrameError

# fmt: off
VIDEOS = (
    '.3g2', '.3gp', '.apng', '.asf', '.avi', '.dv', '.f4v', '.flv', '.gif', '.m2ts', '.m4v', '.mkv',
    '.mov', '.mp4', '.mpeg', '.mpg', '.mts', '.mxf', '.ogv', '.ts', '.vob', '.webm', '.wmv',
)
# fmt: on
Source = FrameSource | LiveSource
"""What is looked at, opened: a file, or something live."""
_STREAM = re.compile(r'(rtsps?|rtmps?|https?|udp|tcp)://', re.IGNORECASE)
_CAMERA = re.compile(r'(?:camera:|webcam:)?(\d+)')
_GLOB = re.compile(r'[*?\[]')


def expand_inputs(texts: list[str], say: Callable[[str], None] = lambda line: None) -> list[str]:
    """One entry for each video: globs and folders of several videos taken apart.

    Args:
        texts: of the forms above.
        say: takes a line on each folder of which something is left out.

    Raises:
        UnreadableFrameError: a glob that fits nothing.
    """
    entries = []
    for text in texts:
        _refuse_address(text)
        found = [text]
        if _is_glob(text):
            paths = _matches(text)
            if not all(map(is_image, paths)):
                found = list(map(str, paths))
        for entry in found:
            used, left_out = _look_into(Path(entry))
            entries += used or [entry]
            if left_out:
                more = f' and {len(left_out) - 3} more' if len(left_out) > 3 else ''
                say(f'{entry}: left out {", ".join(left_out[:3])}{more}')
    return entries


def is_live(text: str | int | Path) -> bool:
    """Whether it is a camera or a stream."""
    return isinstance(text, int) or (
        isinstance(text, str)
        and not Path(text).exists()
        and bool(_STREAM.match(text) or _CAMERA.fullmatch(text))
    )


def open_input(
    text: str | int | Path, fps: float | None = None, part: Part = WHOLE, retries: int = 5
) -> Source:
    """Open one video, image or stream.

    Args:
        text: of the forms above.
        fps: frames per second, in place of what the input states.
        part: which frames.
        retries: times that a live stream that broke off is opened anew.

    Raises:
        UnreadableFrameError: there is no such thing, it cannot be read, or it is several videos.
    """
    if isinstance(text, int):
        return LiveSource(text, fps or 0.0, part, retries)
    if is_live(text):
        camera = _CAMERA.fullmatch(str(text))
        return LiveSource(int(camera[1]) if camera else str(text), fps or 0.0, part, retries)
    _refuse_address(str(text))
    if _is_glob(str(text)):
        paths = _matches(str(text))
        if not all(map(is_image, paths)):
            raise UnreadableFrameError(f'{text}: is several videos; open them one by one')
        name = re.sub(r'[*?\[\]]+', '', Path(text).stem).strip(' -_.') or Path(text).parent.name
        return open_images(paths, Path(text).parent / (name or 'images'), fps, part)
    if _look_into(Path(text))[0]:
        raise UnreadableFrameError(f'{text}: is a folder of videos; open them one by one')
    return open_frames(text, fps, part)


def _refuse_address(text: str) -> None:
    """One that is no stream's, and no file; it may hold a password all the same."""
    if '://' in text and not is_live(text) and not Path(text).exists() and not glob.glob(text):
        raise UnreadableFrameError(
            f'{hide_password(text)}: neither a file nor the address of a stream (rtsp://, rtmp://, '
            'http://, udp://, tcp://); storage (s3://, gs://) is read with --workers'
        )


def _is_glob(text: str) -> bool:
    return bool(_GLOB.search(text)) and not is_live(text) and not Path(text).exists()


def _matches(text: str) -> list[Path]:
    paths = sorted(map(Path, glob.glob(text, recursive=True)), key=by_name)
    paths = [path for path in paths if not is_stray(path)]
    if not paths:
        raise UnreadableFrameError(f'{text}: fits no file')
    return paths


def _look_into(folder: Path) -> tuple[list[str], list[str]]:
    """The videos of a folder, and the names of what is left out of it, in natural order.

    Without videos its images are the frames of one. Both are empty for what is no folder.
    """
    if not folder.is_dir():
        return [], []
    paths = sorted((path for path in folder.iterdir() if not is_stray(path)), key=by_name)
    videos = [path for path in paths if _is_video(path)]
    used = set(videos or images_in(paths))
    return list(map(str, videos)), [path.name for path in paths if path not in used]


def _is_video(path: Path) -> bool:
    return path.is_file() and (path.suffix.lower() in VIDEOS or is_animated(path))

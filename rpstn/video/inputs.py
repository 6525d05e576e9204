"""What a person may name as input, and how it is opened.

    squat.mp4             a video file
    photo.jpg             an image
    frames/               a folder of images, which are the frames of one video, in natural order
    videos/               a folder of videos: each by itself
    'shots/*.png'         a glob of images: the frames of one video, in natural order
    'videos/*.mp4'        a glob of videos, images or folders: each by itself
    0, camera:1           a camera, by its number
    rtsp://, http://...   a live stream: RTSP, or a network camera's over HTTP; also rtsps, rtmp,
                          udp, tcp, https

A file that is named like a camera, '0', is the file.
"""

from __future__ import annotations

import glob
import re
from pathlib import Path

from .frames import IMAGES, FrameSource, by_name, open_frames, open_images
from .live import LiveSource
from .part import WHOLE, Part
from .readers import UnreadableFrameError

VIDEOS = (
    '.avi',
    '.flv',
    '.m4v',
    '.mkv',
    '.mov',
    '.mp4',
    '.mpeg',
    '.mpg',
    '.mts',
    '.ts',
    '.webm',
    '.wmv',
)
Source = FrameSource | LiveSource
"""What is looked at, opened: a file, or something live."""
_STREAM = re.compile(r'(rtsps?|rtmps?|https?|udp|tcp)://', re.IGNORECASE)
_CAMERA = re.compile(r'(?:camera:|webcam:)?(\d+)')
_GLOB = re.compile(r'[*?\[]')


def expand_inputs(texts: list[str]) -> list[str]:
    """One entry for each video: globs and folders of several videos taken apart.

    Raises:
        UnreadableFrameError: a glob that fits nothing.
    """
    entries = []
    for text in texts:
        found = [text]
        if _is_glob(text):
            paths = _matches(text)
            if not all(path.suffix.lower() in IMAGES and path.is_file() for path in paths):
                found = list(map(str, paths))
        for entry in found:
            entries += _videos_in(Path(entry)) or [entry]
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
    if _is_glob(str(text)):
        paths = _matches(str(text))
        if any(path.suffix.lower() not in IMAGES for path in paths):
            raise UnreadableFrameError(f'{text}: is several videos; open them one by one')
        name = re.sub(r'[*?\[\]]+', '', Path(text).stem).strip(' -_.') or Path(text).parent.name
        return open_images(paths, Path(text).parent / (name or 'images'), fps, part)
    if _videos_in(Path(text)):
        raise UnreadableFrameError(f'{text}: is a folder of videos; open them one by one')
    return open_frames(text, fps, part)


def _is_glob(text: str) -> bool:
    return bool(_GLOB.search(text)) and not is_live(text) and not Path(text).exists()


def _matches(text: str) -> list[Path]:
    paths = sorted(map(Path, glob.glob(text, recursive=True)), key=by_name)
    if not paths:
        raise UnreadableFrameError(f'{text}: fits no file')
    return paths


def _videos_in(folder: Path) -> list[str]:
    """The videos of a folder that holds no images, in natural order."""
    if not folder.is_dir():
        return []
    files = sorted((path for path in folder.iterdir() if path.is_file()), key=by_name)
    if any(path.suffix.lower() in IMAGES for path in files):
        return []
    return [str(path) for path in files if path.suffix.lower() in VIDEOS]

"""Everything that a run can write or show, by name."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing
from pathlib import Path
from typing import Protocol

import cv2

from rpstn.choices import OUTPUTS, kpt_thr_of
from rpstn.drawing import encode_image
from rpstn.engine.loading import joint_names
from rpstn.errors import RPSTNError
from rpstn.growing_files import NewFile
from rpstn.names import printable
from rpstn.results import FrameResult
from rpstn.video.frames import VideoWriter
from rpstn.video.inputs import Source

from .pose_files import CocoJson, CsvFile, MMPoseJson, NpzFile, PoseJson

_SCREEN = (1280, 720)
"""Pixels that a window has at most when it opens."""
_SCREENS = ('DISPLAY', 'WAYLAND_DISPLAY', 'QT_QPA_PLATFORM')
"""One of these names a screen on Linux."""


class OutputError(RPSTNError, OSError):
    """A result that cannot be shown, or has no place; the message is one line."""


class Output(Protocol):
    """What takes results, frame by frame, between ``__enter__`` and ``__exit__``."""

    def write(self, result: FrameResult) -> None:
        """Take one frame."""


def ending(output: str, source: Source) -> str:
    """What the name of an output's file ends in."""
    return '.png' if output == 'video' and source.single else OUTPUTS[output]


def open_outputs(
    stack: ExitStack, names: list[str], stem: Path, source: Source, meta: dict, header: dict
) -> list[Output]:
    """Open the files of a run.

    Args:
        stack: that closes them.
        names: of :data:`rpstn.choices.OUTPUTS`, without ``'video'``.
        stem: of all files, with their folder.
        source: what is looked at.
        meta: MMPose's data set meta.
        header: what the JSON says of the run.
    """
    joints, kpt_thr = joint_names(meta), kpt_thr_of(meta)
    makers: dict[str, Callable[[Path], AbstractContextManager[Output]]] = dict(
        csv=lambda path: CsvFile(path, joints),
        json=lambda path: PoseJson(path, joints, dict(header, kpt_thr=kpt_thr)),
        npz=lambda path: NpzFile(path, joints, source.fps, source.size, kpt_thr),
        coco=CocoJson,
        mmpose=lambda path: MMPoseJson(path, meta),
    )
    return [stack.enter_context(makers[name](Path(f'{stem}{OUTPUTS[name]}'))) for name in names]


class DrawnFile:
    """The frames with boxes and skeletons drawn on them, as a video, or an image.

    The video has a constant rate: one frame for each result of a file, while of a live source
    frames are repeated, or left out, so that it runs as fast as what it shows. As that cannot be
    drawn again after a kill, its file can be read without its end.

    Args:
        path: of the file.
        source: what is looked at.
        fps: frames per second.
    """

    def __init__(self, path: Path, source: Source, fps: float) -> None:
        self.path = path
        self.live = source.live
        self.fps = fps
        self.written = 0
        self.writer = None if source.single else VideoWriter(path, fps, source.size, source.live)

    def write(self, result: FrameResult) -> None:
        """Append the image of one frame, drawn on already; ValueError if the result has none."""
        image = result.image
        if image is None:
            raise ValueError(f'frame {result.index}: the result has no image to write')
        if self.writer is None:
            with closing(NewFile(self.path)) as file:
                file.write(encode_image(self.path, image))
            return
        due = round(result.time * self.fps) + 1 - self.written if self.live else 1
        for _ in range(due):
            self.writer.write(image)
        self.written += max(due, 0)

    def __enter__(self) -> DrawnFile:
        return self

    def __exit__(self, *error: object) -> None:
        if self.writer is not None:
            self.writer.__exit__(*error)


class WindowClosed(Exception):
    """The window was closed, or q or Escape pressed, in it."""


class Window:
    """The drawn frames on the screen; q, Escape or closing it ends the run.

    A single picture stays until a key is pressed or the window closed.

    Args:
        source: what is shown, whose name is the window's title.

    Raises:
        OutputError: OpenCV was built without windows, or there is no screen.
    """

    def __init__(self, source: Source) -> None:
        self.title, self.stays = printable(source.name), source.single
        width, height = source.size
        scale = min(1.0, _SCREEN[0] / width, _SCREEN[1] / height)
        try:
            # Without a screen Qt, which pip's OpenCV has its windows from, ends the process.
            if sys.platform == 'linux' and not any(map(os.environ.get, _SCREENS)):
                raise cv2.error
            cv2.namedWindow(self.title, cv2.WINDOW_NORMAL | cv2.WINDOW_GUI_NORMAL)
            cv2.resizeWindow(self.title, round(scale * width), round(scale * height))
        except cv2.error:
            raise OutputError(
                '--show needs a screen, and an OpenCV with windows: pip uninstall -y '
                'opencv-python-headless && pip install "opencv-python<4.12"'
            ) from None

    def write(self, result: FrameResult) -> None:
        """Show one frame, drawn on already."""
        cv2.imshow(self.title, result.image)
        pressed = cv2.waitKey(1)
        while self.stays and pressed < 0 and self._is_open():
            pressed = cv2.waitKey(50)
        if not self.stays and (pressed & 0xFF in (ord('q'), 27) or not self._is_open()):
            raise WindowClosed

    def _is_open(self) -> bool:
        return cv2.getWindowProperty(self.title, cv2.WND_PROP_VISIBLE) >= 1

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *error: object) -> None:
        if self._is_open():
            cv2.destroyWindow(self.title)

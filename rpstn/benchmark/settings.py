"""What a benchmark is told, checked before minutes are spent."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rpstn.errors import SettingError

WAYS = {
    'release': "(a) the release's way: frame by frame, T = {clip_len}, eager",
    'clip': '(b) clip mode, T = {clip_len}',
    'torch float32': '(c) streaming, PyTorch, eager',
    'onnx float32': '(d) streaming, ONNX Runtime',
    'openvino float32': '(e) streaming, OpenVINO',
    'torch bfloat16': '(f) streaming, PyTorch, bfloat16',
    'openvino bfloat16': '(f) streaming, OpenVINO, bfloat16',
    'onnx int8': '(g) streaming, ONNX Runtime, int8',
    'openvino int8': '(g) streaming, OpenVINO, int8',
    'simple baseline': "MMPose's SimpleBaseline ResNet-50, single frames, eager",
    'mediapipe': 'MediaPipe Pose full, whole frames',
    'clip as built': 'clip mode, T = {clip_len}, the model as PyTorch builds it',
    'clip folded': 'clip mode, T = {clip_len}, batch norms folded, channels-last',
}
"""How an RPSTN can be computed, and what that is called in the table."""


@dataclass
class Settings:
    """Of :func:`rpstn.benchmark.benchmark`.

    Args:
        ways: of :data:`WAYS`; the first is what others are compared with. Defaults to all but the
            last two, and MediaPipe where there is no video.
        rounds: turns that each way gets.
        frames: timed in a turn; of form recognizers clips.
        threads: of each way. Defaults to the machine's cores.
        clip_len: T. Defaults to 5, of form recognizers to 300.
        video: with a person in it, for MediaPipe and ``end_to_end``.
        end_to_end: whether to time `rpstn infer` by RPSTN-Lite, too.
        exports: folder to keep exported graphs in; those that a run before has left are used.
        keep_float: of the exports, see :func:`rpstn.deploy.export.export_model`.
        cfg_options: settings of all configs to replace.

    Raises:
        SettingError: one of them cannot be.
    """

    ways: Sequence[str] = ()
    rounds: int = 5
    frames: int = 10
    threads: int = os.cpu_count() or 1
    clip_len: int | None = None
    video: str | Path = ''
    end_to_end: bool = False
    exports: str | Path | None = None
    keep_float: Sequence[str] = ()
    cfg_options: Mapping = field(default_factory=dict)
    of_pose: list[str] = field(init=False)
    """Options that were given and are of RPSTNs only."""

    def __post_init__(self) -> None:
        for name in ('rounds', 'frames', 'threads', 'clip_len'):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SettingError(f'{name} must be 1 or more, got {value}')
        self.of_pose = [
            f'--{name.replace("_", "-")}'
            for name in ('ways', 'exports', 'keep_float', *(() if self.end_to_end else ('video',)))
            if getattr(self, name)
        ]
        left_out = ('clip as built', 'clip folded', '' if self.video else 'mediapipe')
        self.ways = self.ways or [way for way in WAYS if way not in left_out]
        if unknown := [way for way in self.ways if way not in WAYS]:
            raise SettingError(f'ways must be of {", ".join(map(repr, WAYS))}, got {unknown[0]!r}')
        if not self.video and (self.end_to_end or 'mediapipe' in self.ways):
            what = 'end to end' if self.end_to_end else 'mediapipe'
            raise SettingError(f'{what} needs a video (--video), with a person in it')
        exported = any(way.startswith(('onnx', 'openvino')) for way in self.ways)
        if (self.exports or self.keep_float) and not exported:
            raise SettingError(
                '--exports and --keep-float are of onnx and openvino, got no such way'
            )
        if self.video and not (self.end_to_end or 'mediapipe' in self.ways):
            raise SettingError('--video is of the way mediapipe and of --end-to-end, got neither')
        if self.video and not Path(self.video).is_file():
            raise SettingError(f'{self.video}: no such file')

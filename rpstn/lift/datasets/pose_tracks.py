"""2D poses over time, real ones, that the lifter learns from.

Shapes: T frames, V joints of ``lifter15``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData
from mmpose.registry import DATASETS
from mmpose.structures import PoseDataSample
from torch import Tensor
from torch.utils.data import Dataset

from rpstn.choices import KPT_THR
from rpstn.data.paths import find_data
from rpstn.data.penn_action import read_penn_labels
from rpstn.data_files import read_npz
from rpstn.errors import BadSequenceError, SettingError
from rpstn.files import is_stray
from rpstn.skeletons import SKELETONS, map_joints

from ..files import read_track
from ..models.views import flipped, normalize

_SKELETON = SKELETONS['lifter15']
_RATE = 10.0  # frames a second
_STRIDE = 3  # of 30 frames a second
_SHORTEST = 4  # frames
_FARTHEST = 4.0  # trunks from the pelvis: beyond, labels are wrong
_SURE = 0.5  # mean score of a teacher's joints, or height of peaks
_RIGHT = 0.75  # mean of calibrated scores; takes the same frames, but for 2 %
# The joints of ../shared/data/mpii_poses; the head is its mean of upper neck and head top.
_MPII = dict(
    head=9, left_shoulder=11, left_elbow=12, left_wrist=13, right_shoulder=14, right_elbow=15,
    right_wrist=16, right_hip=1, right_knee=2, right_ankle=3, left_hip=4, left_knee=5,
    left_ankle=6,
)  # fmt: skip


def read_tracks(
    penn_action: str | None, teacher: str | None, videos: str | None = None
) -> list[Tensor]:
    """Normalized joints (T, V, 2), each of one person, 10 frames a second, all joints known.

    Args:
        penn_action: folder of Penn Action, or its name below a data root: from each sequence the
            longest run of frames in which all joints are labelled.
        teacher: the same of labels by ``tools/research/label_by_teacher.py``.
        videos: the same of what ``rpstn infer --save npz`` saw in videos, of one person each.
    """
    tracks = [*_penn_action(penn_action)] if penn_action else []
    tracks += _teacher(teacher) if teacher else []
    tracks += _videos(videos) if videos else []
    normalized = [normalize(torch.from_numpy(track)[None])[0] for track in tracks]
    return [track for track in normalized if track.abs().max() < _FARTHEST]


def read_mpii(file: str) -> Tensor:
    """Normalized joints (N, V, 2) of single images."""
    poses = np.load(find_data(file)).reshape(-1, 17, 2)
    single = {name: poses[:, index] for name, index in _MPII.items()}
    for joint, part in (('pelvis', 'hip'), ('neck', 'shoulder')):
        single[joint] = (single[f'left_{part}'] + single[f'right_{part}']) / 2
    joints = torch.from_numpy(np.stack([single[name] for name in _SKELETON.joints], axis=1))
    normalized = normalize(joints[:, None])[:, 0]
    return normalized[normalized.abs().amax((1, 2)) < _FARTHEST]


@DATASETS.register_module()
class PoseTracks(Dataset):
    """Windows of :func:`read_tracks`, drawn at random and varied.

    Args:
        penn_action: see :func:`read_tracks`.
        teacher: see :func:`read_tracks`.
        videos: see :func:`read_tracks`.
        frames: T of a window; a shorter track ends in its last frame, repeated.
        windows: length of an epoch.
        turn: standard deviation of a turn of the image, radians.
        scale: standard deviation of the scale.
        simulated: file of clips by ``tools/research/lifter/simulate_bodies.py``: half of the
            windows are of these, as they are.
        depths: whether they come with their depths, ``gt_instances.depth`` (T, V).

    Raises:
        FileNotFoundError: a folder or file is absent.
        SettingError: there is no track, or clips are of another length.
    """

    def __init__(
        self,
        penn_action: str | None = 'penn_action',
        teacher: str | None = None,
        videos: str | None = None,
        frames: int = 12,
        windows: int = 16000,
        turn: float = 0.05,
        scale: float = 0.05,
        simulated: str | None = None,
        depths: bool = True,
    ) -> None:
        self.metainfo: dict[str, Any] = dict(dataset_name='pose_tracks')
        self.tracks = read_tracks(penn_action, teacher, videos)
        if not self.tracks:
            raise SettingError('PoseTracks: no track in penn_action, teacher or videos')
        self.frames, self.windows, self.turn, self.scale = frames, windows, turn, scale
        self._lengths = torch.tensor([float(len(track)) for track in self.tracks])
        self.depths = depths
        self._simulated = None if simulated is None else _read_simulated(simulated, frames)

    def __len__(self) -> int:
        return self.windows

    def __getitem__(self, index: int) -> dict[str, Any]:
        if self._simulated is not None and torch.rand(()) < 0.5:
            return self._of_simulated(*self._simulated)
        track = self.tracks[int(torch.multinomial(self._lengths, 1))]
        start = int(torch.randint(max(len(track) - self.frames, 0) + 1, (1,)))
        window = track[start : start + self.frames]
        window = torch.cat([window, window[-1:].expand(self.frames - len(window), -1, -1)])
        if torch.rand(()) < 0.5:
            window = window.flip(0)
        if torch.rand(()) < 0.5:
            window = flipped(window)
        angle = torch.randn(()) * self.turn
        cosine, sine = angle.cos(), angle.sin()
        turned = window @ torch.stack([cosine, sine, -sine, cosine]).view(2, 2)
        return dict(
            inputs=turned * (1 + self.scale * torch.randn(())), data_samples=PoseDataSample()
        )

    def _of_simulated(self, images: Tensor, depths: Tensor) -> dict[str, Any]:
        chosen = int(torch.randint(len(images), (1,)))
        sample = PoseDataSample()
        if self.depths:
            sample.gt_instances = InstanceData(depth=depths[chosen])
        return dict(inputs=images[chosen], data_samples=sample)


def _read_simulated(file: str, frames: int) -> tuple[Tensor, Tensor]:
    """Normalized joints (N, T, V, 2) and depths (N, T, V)."""
    clips = read_npz(find_data(file))
    images, depths = (torch.from_numpy(clips[name]).float() for name in ('images', 'depths'))
    if images.shape[1:] != (frames, _SKELETON.num_joints, 2) or depths.shape != images.shape[:3]:
        raise SettingError(
            f'{file}: simulated clips must have {frames} frames of {_SKELETON.num_joints} joints, '
            f'got {tuple(images.shape)} and {tuple(depths.shape)}'
        )
    return images, depths


def _penn_action(root: str) -> Iterator[np.ndarray]:
    for labels in read_penn_labels(find_data(root)):
        try:
            keypoints = labels.keypoints()
        except BadSequenceError:
            continue
        joints = map_joints(keypoints, 'penn13', _SKELETON)[::_STRIDE]
        known = np.flatnonzero(np.isfinite(joints).all((1, 2)))
        runs: Sequence[np.ndarray] = np.split(known, np.flatnonzero(np.diff(known) > 1) + 1)
        longest = max(runs, key=len)
        if len(longest) >= _SHORTEST:
            yield joints[longest]


def _teacher(folder: str) -> Iterator[np.ndarray]:
    for file in _archives(folder):
        with np.load(file) as labels:
            keypoints, scores = labels['keypoints'], labels['scores']
        yield from _sure(map_joints(keypoints, 'mediapipe33', _SKELETON), scores)


def _videos(folder: str) -> Iterator[np.ndarray]:
    for file in _archives(folder):
        with np.load(file) as found:
            if 'frame' in found and not len(found['frame']):  # nobody
                continue
        track = read_track(file)
        joints = map_joints(track.keypoints, track.skeleton, _SKELETON)
        # Frames in which nobody was found are not in the file.
        frames = track.frames - track.frames[0]
        whole = np.full((frames[-1] + 1, *joints.shape[1:]), np.nan, np.float32)
        scores = np.zeros((len(whole), track.scores.shape[1]))
        whole[frames], scores[frames] = joints, track.scores
        apart = np.ptp(track.times) / max(frames[-1], 1)  # seconds from frame to frame
        stride = max(1, round(1 / (apart * _RATE))) if apart else 1
        yield from _sure(whole, scores, stride, _SURE if track.kpt_thr == KPT_THR else _RIGHT)


def _archives(folder: str) -> list[Path]:
    return [file for file in sorted(find_data(folder).rglob('*.npz')) if not is_stray(file)]


def _sure(
    joints: np.ndarray, scores: np.ndarray, stride: int = _STRIDE, least: float = _SURE
) -> Iterator[np.ndarray]:
    """The frames at 10 a second, if nearly all of them are sure."""
    joints, scores = joints[::stride], scores[::stride]
    known = (scores.mean(1) > least) & np.isfinite(joints).all((1, 2))
    if known.mean() >= 0.9 and known.sum() >= _SHORTEST:
        yield joints[known]

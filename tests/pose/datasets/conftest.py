"""Small trees in the layouts of the original downloads, written anew for every test."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
from mmengine.logging import MMLogger

from rpstn.data import paths


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))


@pytest.fixture
def no_other_data(tmp_path, monkeypatch):
    """Data is found in ``tmp_path`` only, not in what this checkout and its neighbours hold."""
    monkeypatch.setenv('RPSTN_DATA', str(tmp_path))
    monkeypatch.setattr(paths, '_REPOSITORY', tmp_path / 'nothing' / 'here')
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def warnings_logged(caplog):
    """A function that gives the warnings of MMEngine's current logger."""
    logger = MMLogger.get_instance('test_warnings')
    MMLogger._instance_dict.move_to_end('test_warnings')  # the current one is the last
    logger.addHandler(caplog.handler)
    yield lambda: [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    logger.removeHandler(caplog.handler)


def image(width: int, height: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)


class PennTree:
    """Writes ``labels/NNNN.mat`` and ``frames/NNNN/NNNNNN.jpg``."""

    def __init__(self, root: Path, width: int = 64, height: int = 48) -> None:
        self.root, self.width, self.height = root, width, height
        (root / 'labels').mkdir(parents=True)

    def add(
        self,
        name: str,
        frames: int = 6,
        train: int = 1,
        action: str = 'squat',
        write_frames: bool = True,
        **fields,
    ) -> dict:
        rng = np.random.default_rng(int(name))
        content = dict(
            x=rng.uniform(12, 50, (frames, 13)),
            y=rng.uniform(12, 40, (frames, 13)),
            visibility=np.ones((frames, 13), np.uint8),
            bbox=np.tile([10.0, 10, 55, 45], (frames, 1)),
            train=np.array([[train]]),
            nframes=np.array([[frames]], np.uint8),
            action=action,
            pose='front',
            dimensions=np.array([[self.height, self.width, frames]], np.uint16),
            **{},
        )
        content.update(fields)
        scipy.io.savemat(self.label(name), content)
        if write_frames:
            folder = self.root / 'frames' / name
            folder.mkdir(parents=True)
            for t in range(frames):
                cv2.imwrite(str(folder / f'{t + 1:06d}.jpg'), image(self.width, self.height, t))
        return content

    def label(self, name: str) -> Path:
        return self.root / 'labels' / f'{name}.mat'

    def frame(self, name: str, number: int) -> Path:
        return self.root / 'frames' / name / f'{number:06d}.jpg'


class JHMDBTree:
    """Writes splits, joints, and frame folders, videos and masks as asked for."""

    def __init__(self, root: Path, width: int = 64, height: int = 48) -> None:
        self.root, self.width, self.height = root, width, height

    def add(
        self,
        name: str,
        frames: int = 8,
        train: bool = True,
        images: int | None = None,
        video: int | None = None,
        joints: np.ndarray | None = None,
        mask: np.ndarray | None = None,
    ) -> np.ndarray:
        """``name`` is '<class>/<clip>'; ``images`` and ``video`` are numbers of frames."""
        action, clip = name.split('/')
        if joints is None:
            joints = np.random.default_rng(frames).uniform(12, 40, (2, 15, frames))
        self._write(self.root / 'joint_positions' / name / 'joint_positions.mat', pos_img=joints)
        if mask is not None:
            self._write(self.root / 'puppet_mask' / name / 'puppet_mask.mat', part_mask=mask)
        splits = self.root / 'splits'
        splits.mkdir(exist_ok=True)
        with (splits / f'{action}_test_split1.txt').open('a') as file:
            file.write(f'{clip}.avi {1 if train else 2}\n')
        folder = self.root / 'Rename_Images' / name
        for t in range(images or 0):
            folder.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / f'{t + 1:05d}.png'), image(self.width, self.height, t))
        if video is not None:
            path = self.root / 'ReCompress_Videos' / f'{name}.avi'
            path.parent.mkdir(parents=True, exist_ok=True)
            writer = cv2.VideoWriter(
                str(path), cv2.VideoWriter_fourcc(*'MJPG'), 25, (self.width, self.height)
            )
            for t in range(video):
                # A flat grey that tells the frame survives the compression.
                writer.write(np.full((self.height, self.width, 3), 10 * t, np.uint8))
            writer.release()
        return joints

    @staticmethod
    def _write(path: Path, **content) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        scipy.io.savemat(path, content)


@pytest.fixture
def penn_tree(tmp_path) -> PennTree:
    return PennTree(tmp_path / 'penn_action')


@pytest.fixture
def jhmdb_tree(tmp_path) -> JHMDBTree:
    return JHMDBTree(tmp_path / 'jhmdb')


@pytest.fixture
def read_all():
    """``list(loader)`` whose workers end with it, also when one of them fails.

    PyTorch otherwise waits for them for ten seconds, whenever the iterator is collected.
    """

    def read(loader):
        iterator = iter(loader)
        try:
            return list(iterator)
        finally:
            iterator._shutdown_workers()

    return read

"""Clips of synthetic athletes for training and tests; no files needed."""

from collections.abc import Iterator, Sequence
from typing import Any

from mmpose.registry import DATASETS

from rpstn.errors import SettingError
from rpstn.pose.datasets.clip_dataset import ClipDataset
from rpstn.pose.datasets.metainfo import METAINFO, PENN13
from rpstn.pose.datasets.sequence import PoseSequence

from ..athletes.motion import MOTIONS
from .annotated import names_of
from .reader import CachedReader, SyntheticReader, animate


@DATASETS.register_module()
class SyntheticClipDataset(ClipDataset):
    """Rendered squats, jumping jacks, walks and push-ups with exact labels.

    Labels are made when the data set is built (about 8 ms a sequence), pictures when they are
    read. Two data sets of the same arguments are the same; those of different seeds share
    nothing, so that `seed` separates training from test.

    Args:
        num_sequences: how many.
        num_frames: N, frames in each.
        image_size: (width, height) in pixels.
        seed: decides everything.
        motions: out of 'squat', 'jumping_jack', 'walking', 'push_up'.
        occluder_prob: share of the sequences with things in front of the athlete.
        motion_blur: blur by movement.
        camera_movement: strength of the hand-held camera's movement, 0 for a tripod.
        fps: frames per second; few make large steps between frames.
        joints: 'penn13' or 'jhmdb15'.
        cache_mb: memory for rendered frames, per process; 0 renders again each time.
        **kwargs: those of ClipDataset.
    """

    METAINFO: dict = PENN13

    def __init__(
        self,
        num_sequences: int = 100,
        num_frames: int = 40,
        image_size: tuple[int, int] = (192, 192),
        seed: int = 0,
        motions: Sequence[str] = tuple(MOTIONS),
        occluder_prob: float = 0.3,
        motion_blur: bool = True,
        camera_movement: float = 1.0,
        fps: float = 25.0,
        joints: str = 'penn13',
        cache_mb: int = 0,
        **kwargs: Any,
    ) -> None:
        unknown = set(motions) - set(MOTIONS)
        if unknown or not motions:
            raise SettingError(
                f'motions must be out of {sorted(MOTIONS)}, at least one, got {list(motions)}'
            )
        for field, value in (
            ('num_sequences', num_sequences),
            ('num_frames', num_frames),
            *zip(('width', 'height'), image_size, strict=True),
        ):
            if value < 1:
                raise SettingError(f'{field} must be at least 1, got {value}')
        if not 0 <= occluder_prob <= 1:
            raise SettingError(f'occluder_prob must be in [0, 1], got {occluder_prob}')
        self.joint_names = names_of(joints)
        self.cache_mb = cache_mb
        self._readers = [
            SyntheticReader(
                (seed, i),
                num_frames,
                (int(image_size[0]), int(image_size[1])),
                tuple(motions),
                occluder_prob,
                motion_blur,
                camera_movement,
                fps,
            )
            for i in range(num_sequences)
        ]
        kwargs.setdefault('metainfo', METAINFO[joints])
        super().__init__(**kwargs)

    def load_sequences(self) -> Iterator[PoseSequence]:
        for i, reader in enumerate(self._readers):
            keypoints, labelled, occluded = reader.joints(self.joint_names)
            motion = animate(reader).motion
            yield PoseSequence(
                name=f'{motion}/{i:05d}',
                reader=CachedReader(reader, self.cache_mb) if self.cache_mb else reader,
                keypoints=keypoints,
                labelled=labelled,
                occluded=occluded,
                boxes=reader.boxes(),
                image_size=reader.image_size,
                action=motion,
            )

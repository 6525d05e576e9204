r"""Fit what JHMDB's annotators call neck, belly and head to BlazePose's landmarks.

python tools/research/fit_joint_map.py

Least squares on the clips of --subset, every 4th frame, landmarks from crops about the labelled
bodies, with a ridge towards the means of rpstn.joint_maps. The weights of a joint sum to 1 and are
the same left and right. Prints the weights, to be kept in rpstn/joint_maps.py, and PCK@0.2 by torso
on the clips of --check with the means and with the weights.

Shapes: N frames, P pairs of landmarks, V = 33 landmarks, K joints of JHMDB.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

import numpy as np
import torch

from rpstn.errors import RPSTNError
from rpstn.joint_maps import MEANS, both_sides
from rpstn.pose.datasets import ClipDataset
from rpstn.skeletons import get_skeleton
from rpstn.tables import format_table

from blazepose_alone import BlazePoseAlone, body_crop
from lite_evaluation import jhmdb_clips, videos

# Pairs of landmarks that a joint is made of. Few, and no more than it needs: a joint is as sure as
# the least sure of them, and is not there where one of them is not.
PARTS = dict(neck=('shoulder', 'ear'), belly=('hip', 'shoulder'), head=('ear', 'eye'))
SOURCE, TARGET = get_skeleton('blazepose33'), get_skeleton('jhmdb15')
RIDGE = 1e-3
"""Weight of the squared change of the weights, in squared lengths of the torso."""


@dataclass(frozen=True)
class Frames:
    """Landmarks and labels, pixels."""

    landmarks: np.ndarray
    """(N, V, 2)."""
    labels: np.ndarray
    """(N, K, 2)."""
    labelled: np.ndarray
    """(N, K) bool."""

    @classmethod
    def of(cls, dataset: ClipDataset, every: int = 4) -> Frames:
        """Every so many frames of each clip."""
        alone = BlazePoseAlone()
        frames = [frame for clip in videos(dataset) for frame in clip['frames'][::every]]
        return cls(
            np.stack([alone.landmarks(f['img'], body_crop(f['keypoints'][0]))[0] for f in frames]),
            np.stack([f['keypoints'][0].astype(float) for f in frames]),
            np.stack([f['keypoints_visible'][0] > 0 for f in frames]),
        )

    @property
    def torso(self) -> np.ndarray:
        """(N,) left shoulder to right hip, by which VideoPCK measures on JHMDB."""
        ends = [TARGET.index(joint) for joint in ('left_shoulder', 'right_hip')]
        return np.linalg.norm(np.diff(self.labels[:, ends], axis=1)[:, 0], axis=-1)

    def middles(self, parts: tuple[str, ...]) -> np.ndarray:
        """(N, P, 2), the middle of left and right of each pair."""
        indices = [SOURCE.index(joint) for joint in both_sides(*parts)]
        return self.landmarks[:, indices].reshape(-1, len(parts), 2, 2).mean(2)


def mean_shares(joint: str, parts: tuple[str, ...]) -> np.ndarray:
    """(P,) what each pair has of the mean that a joint is without a fit."""
    names = MEANS[joint][0]
    return np.array([2 * names.count(f'left_{part}') / len(names) for part in parts])


def fit(frames: Frames, joint: str, ridge: float = RIDGE) -> np.ndarray:
    """(P,) shares of a joint's :data:`PARTS`, which sum to 1."""
    used = frames.labelled[:, TARGET.index(joint)] & (frames.torso >= 1)
    start = mean_shares(joint, PARTS[joint])
    middles = frames.middles(PARTS[joint])[used]
    left = frames.labels[used, TARGET.index(joint)] - np.einsum('p,npd->nd', start, middles)
    # Shares that change by (-sum c, c) keep their sum.
    change = middles[:, 1:] - middles[:, :1]
    scale = frames.torso[used][:, None]
    a = (change / scale[..., None]).transpose(0, 2, 1).reshape(-1, len(start) - 1)
    b = (left / scale).reshape(-1)
    # The ridge is on all shares, the first one's change being -sum c.
    penalty = ridge * used.sum() * (np.eye(a.shape[1]) + 1)
    found = np.linalg.solve(a.T @ a + penalty, a.T @ b)
    return start + np.array([-found.sum(), *found])


def side_weights(shares: np.ndarray, digits: int = 3) -> np.ndarray:
    """(P,) weights of each side, rounded, twice the sum of which is 1 exactly."""
    weights = np.round(shares / 2, digits)
    weights[0] = np.round(0.5 - weights[1:].sum(), digits)
    return weights


def pck(frames: Frames, joint: str, shares: np.ndarray, threshold: float = 0.2) -> float:
    """Share of the labelled joints that lie nearer than this share of the torso to their label."""
    used = frames.labelled[:, TARGET.index(joint)] & (frames.torso >= 1)
    places = np.einsum('p,npd->nd', shares, frames.middles(PARTS[joint]))
    off = np.linalg.norm(places - frames.labels[:, TARGET.index(joint)], axis=-1)
    return float((off < threshold * frames.torso)[used].mean())


def main() -> int:
    """Fits, prints, and returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    subsets = ['val', 'test', 'train', 'trainval']
    parser.add_argument('--subset', default='train', choices=subsets)
    parser.add_argument('--check', default='val', choices=subsets)
    parser.add_argument('--data-root', default='jhmdb', help='(default: %(default)s)')
    parser.add_argument('--every', type=int, default=4, help='so many frames (default: 4)')
    args = parser.parse_args()
    torch.set_num_threads(1)
    try:
        train, check = (
            Frames.of(jhmdb_clips(subset, data_root=args.data_root), args.every)
            for subset in (args.subset, args.check)
        )
    except (RPSTNError, FileNotFoundError, ImportError) as error:
        print(error, file=sys.stderr)
        return 1
    rows = []
    for joint, parts in PARTS.items():
        weights = side_weights(fit(train, joint))
        print(f'{joint!r}: {dict(zip(parts, weights.tolist()))},')
        rows.append(
            [joint]
            + [
                f'{100 * pck(frames, joint, shares):.1f}'
                for frames in (train, check)
                for shares in (mean_shares(joint, parts), 2 * weights)
            ]
        )
    columns = [f'{s}, {how}' for s in (args.subset, args.check) for how in ('means', 'fitted')]
    print(format_table(['PCK@0.2 torso', *columns], rows))
    return 0


if __name__ == '__main__':
    sys.exit(main())

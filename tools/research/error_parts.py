"""What is wrong in RPSTN-Lite's answers: sides, places that are off all through a clip, the rest.

    python tools/research/error_parts.py --subset val

measures PCK@0.2 of whole frames of JHMDB, as `rpstn infer` answers them: as answered; with left and
right told by the labels, each pair of joints for itself; and with each joint's median offset in a
clip taken away, too. The last two use the labels, and are no results: they say how much is to be
gained at most by a better sense of sides, and how much no sense of time can tell, as it stays the
same all through a clip.

Shapes: N frames of a clip, K joints.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from rpstn.errors import RPSTNError
from rpstn.pose.evaluation.pck import NORMALIZERS, VideoPCK, torso_joints
from rpstn.tables import format_table

from lite_evaluation import LIMBS, jhmdb_clips, right_joints, swapped_pairs, videos
from lite_predictors import LABELS, inferencer_predictor, streaming_inferencer

KINDS = ('as answered', 'sides by the labels', 'and no offsets of a clip')


def with_sides_of(
    predicted: np.ndarray, truth: np.ndarray, pairs: Sequence[tuple[int, int]]
) -> np.ndarray:
    """Answers (N, K, 2) whose left and right are exchanged where that brings a pair nearer."""
    told = predicted.copy()
    for (a, b), swapped in zip(pairs, swapped_pairs(predicted, truth, pairs).T):
        told[swapped, a], told[swapped, b] = predicted[swapped, b], predicted[swapped, a]
    return told


def without_offsets(predicted: np.ndarray, truth: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """Answers (N, K, 2) less each joint's median offset in the frames where it is labelled."""
    known = labelled & np.isfinite(predicted).all(-1)
    off = np.where(known[..., None], predicted - truth, np.nan)
    seen = np.isfinite(off).any(0)
    median = np.zeros(off.shape[1:])
    median[seen] = np.nanmedian(off.reshape(len(off), -1)[:, seen.ravel()], axis=0)
    return predicted - median


def measure(subset: str, every: int) -> dict[str, list[float]]:
    """Of each kind the PCK in percent by torso and by box, of limbs and of all joints."""
    dataset = jhmdb_clips(subset)
    torso = torso_joints(dataset.metainfo, VideoPCK().torso, 'error_parts')
    limbs = [name.split('_')[-1] in LIMBS for name in LABELS.joints]
    predict = inferencer_predictor(streaming_inferencer())
    totals: defaultdict[tuple[str, str], np.ndarray] = defaultdict(
        lambda: np.zeros((2, len(limbs)))
    )
    for results in videos(dataset, every):
        found = np.stack(list(predict(results)))
        truth, visible, boxes = (
            np.stack([frame[name][0] for frame in results['frames']])
            for name in ('keypoints', 'keypoints_visible', 'bbox')
        )
        labelled = visible > 0
        sided = with_sides_of(found, truth, LABELS.flip_pairs)
        answers = (found, sided, without_offsets(sided, truth, labelled))
        for normalizer in NORMALIZERS:
            for kind, answer in zip(KINDS, answers):
                near, known = right_joints(answer, truth, labelled, boxes, normalizer, torso)
                counted = labelled & known[:, None]
                totals[normalizer, kind] += [(near & counted).sum(0), counted.sum(0)]
    shares = {key: 100 * right / counted for key, (right, counted) in totals.items()}
    return {
        kind: [
            float(np.mean(shares[normalizer, kind][which]))
            for normalizer in ('torso', 'bbox')
            for which in (limbs, slice(None))
        ]
        for kind in KINDS
    }


def main() -> int:
    """Measures, prints, and returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--subset', default='val', choices=['val', 'test', 'train'])
    parser.add_argument('--every', type=int, default=1, metavar='N', help='every N-th clip only')
    args = parser.parse_args()
    try:
        found = measure(args.subset, args.every)
    except (RPSTNError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    heads = ['', 'torso, limbs', 'torso', 'box, limbs', 'box']
    print(format_table(heads, [[k, *(f'{v:.1f}' for v in row)] for k, row in found.items()]))
    return 0


if __name__ == '__main__':
    sys.exit(main())

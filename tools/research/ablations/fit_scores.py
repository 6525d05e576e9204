"""Fit the map from peaks to scores of RPSTN-Lite, on validation clips.

python tools/research/ablations/fit_scores.py

prints the knots of CalibratedHeatmap for configs/lite/rpstn_lite_readout.py, fitted to what `rpstn
infer` answers by the weights that ship, of JHMDB's validation clips, whole frames with nothing
known, as they are and with occluders: whether a joint lies within a fifth of the torso of its
label. And how far peaks, the scores that the config has, and those by the knots are from that (ECE,
points), on these clips and on the test clips, which the fit has not seen. A config and a checkpoint
may be given in place of the model that ships.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)
from rpstn.errors import RPSTNError
from rpstn.inference.inferencer import PoseInferencer
from rpstn.results import peaks_of
from rpstn.simulation import SpanOccluders
from rpstn.tables import format_table

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from lite_evaluation import jhmdb_clips, right_joints, videos  # noqa: E402
from lite_predictors import LABELS, ClipSource, streaming_inferencer  # noqa: E402
from row_measures import TORSO, reliability, score_knots  # noqa: E402

FIELDS = ('keypoints', 'keypoints_visible', 'keypoints_occluded', 'bbox')


def answers(
    inferencer: PoseInferencer, subset: str, occluded: bool, every: int = 1
) -> dict[str, np.ndarray]:
    """What is answered of a subset's labelled joints in all of its clips, each (M,).

    Returns:
        ``peaks`` and ``scores``, and whether the joints are ``right`` and ``hidden``. Frames in
        which nobody is found have no scores, and are left out.
    """
    occluder = SpanOccluders(LABELS.name, seed=0) if occluded else None
    found: dict[str, list[np.ndarray]] = dict(peaks=[], scores=[], right=[], hidden=[])
    for results in videos(jhmdb_clips(subset), every, occluder):
        pairs = zip(results['frames'], inferencer(ClipSource.of(results)), strict=True)
        seen = [(frame, result) for frame, result in pairs if result.people]
        if not seen:
            continue
        frames, people = [frame for frame, _ in seen], [result.people[0] for _, result in seen]
        truth, labelled, hidden, boxes = (
            np.stack([np.asarray(frame[name][0]) for frame in frames]) for name in FIELDS
        )
        labelled = labelled > 0
        joints, scores = (
            np.stack([getattr(p, n) for p in people]) for n in ('keypoints', 'scores')
        )
        right, known = right_joints(joints, truth, labelled, boxes, 'torso', (TORSO[0], TORSO[1]))
        counted = labelled & known[:, None]
        values = dict(
            peaks=peaks_of(scores, seen[0][1].meta), scores=scores, right=right, hidden=hidden > 0
        )
        for name, value in values.items():
            found[name].append(value[counted])
    return {name: np.concatenate(values) for name, values in found.items()}


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', nargs='?')
    parser.add_argument('checkpoint', nargs='?')
    parser.add_argument(
        '--every', type=int, default=1, metavar='N', help='every N-th clip only, for a look'
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fits, prints, and returns the exit status."""
    args = parse_args(arguments)
    try:
        inferencer = streaming_inferencer(args.config, args.checkpoint, spare=False)
        found = {
            (subset, occluded): answers(inferencer, subset, occluded, args.every)
            for subset in ('val', 'test')
            for occluded in (False, True)
        }
    except (RPSTNError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    seen = [part for (subset, _), part in found.items() if subset == 'val']
    knots = score_knots(*(np.concatenate([p[name] for p in seen]) for name in ('peaks', 'right')))
    print(f'knots={knots.tolist()}')
    lines = []
    for (subset, occluded), part in found.items():
        part['fitted'] = np.interp(part['peaks'], *knots.T)
        for joints, mask in (('visible', ~part['hidden']), ('hidden', part['hidden'])):
            if mask.any():
                right = part['right'][mask]
                shown = [right.mean(), part['scores'][mask].mean()]
                shown += [
                    reliability(part[name][mask], right).error
                    for name in ('peaks', 'scores', 'fitted')
                ]
                name = f'{subset}, {"with" if occluded else "no"} occluders'
                lines.append([name, joints, str(len(right)), *(f'{100 * v:.1f}' for v in shown)])
    heads = ['right, %', 'mean score, %', 'ECE: peaks', 'scores', 'fitted']
    print(format_table(['', 'joints', 'number', *heads], lines))
    return 0


if __name__ == '__main__':
    sys.exit(main())

r"""Fit the map from peaks to scores of the model that ships, on validation clips.

python tools/research/ablations/ablate.py --only relation/lite
python tools/research/ablations/fit_scores.py

prints the knots of CalibratedHeatmap in configs/lite/rpstn_lite_readout.py, fitted to what the
row's model answered of JHMDB's validation clips with occluders (PCK@0.2 by torso); and the error of
calibration (ECE, points) of the peaks, of the knots that are in the config, and of those fitted, on
these clips and on the test clips, which the fit has not seen.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)
from rpstn.errors import RPSTNError, SettingError
from rpstn.tables import format_table

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from ablate import GRID  # noqa: E402
from ablation_results import pooled  # noqa: E402
from ablation_rows import load_run, read_grid  # noqa: E402
from feature_cache import WHOLE_PARTS, load_whole  # noqa: E402
from row_measures import reliability, score_knots  # noqa: E402


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--row', default='relation/lite', help='default: %(default)s')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/ablate'))
    return parser.parse_args()


def main() -> int:
    """Fits, prints, and returns the exit status."""
    args = parse_args()
    try:
        (row,) = read_grid(GRID, [args.row])
        run = load_run(row, 0, args.work_dir)
        if run is None:
            raise SettingError(f'{row.path(args.work_dir, 0)}: no run; ablate.py makes it')
    except RPSTNError as error:
        print(error, file=sys.stderr)
        return 1
    features = args.work_dir / 'features'
    videos = {part: load_whole(features, part) for part in WHOLE_PARTS}
    found = {part: pooled([run], videos, part) for part in WHOLE_PARTS}
    fitted = score_knots(*found['val-occluded'][:2])
    print(f'knots={fitted.tolist()}')
    maps = {'peaks': np.array([(0, 0), (1, 1)]), 'config': row.knots(), 'fitted': fitted}
    maps = {name: knots for name, knots in maps.items() if knots is not None}
    lines = []
    for part, (scores, right, hidden) in found.items():
        for joints, mask in (('visible', ~hidden), ('hidden', hidden)):
            if mask.any():
                curves = [
                    reliability(np.interp(scores[mask], *knots.T), right[mask])
                    for knots in maps.values()
                ]
                shown = (curves[0].share, *(curve.error for curve in curves))
                lines.append([part, joints, str(mask.sum()), *(f'{100 * v:.1f}' for v in shown)])
    print(format_table(['', 'joints', 'number', 'right, %', *maps], lines))
    return 0


if __name__ == '__main__':
    sys.exit(main())

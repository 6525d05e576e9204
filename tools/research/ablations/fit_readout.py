r"""Teach the readout of an RPSTN where joints are, behind a recurrence that stays as it is.

python tools/research/ablations/fit_readout.py configs/lite/rpstn_lite_readout.py \
    work_dirs/rpstn_lite/epoch_8.pth work_dirs/rpstn_lite/placed.pth

The squared error of heatmaps teaches a TokenRelation no places (docs/ablations.md), so it is
fitted apart: on the peaks that the model's own maps have on the clips that it was trained on,
augmented and occluded, whose features are kept in the folder of ablate.py (5 GB).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from mmengine.config import Config

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)
from rpstn.errors import RPSTNError, SettingError
from rpstn.files import replacing
from rpstn.pose.models.token_relation import TokenRelation

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
import feature_cache  # noqa: E402
from head_training import start_model  # noqa: E402
from place_fitting import fit_places, peaks_of  # noqa: E402


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', type=Path)
    parser.add_argument(
        'checkpoint', help='trained; without a readout, or with one that is not fitted'
    )
    parser.add_argument('out', type=Path, help='checkpoint to write')
    parser.add_argument('--steps', type=int, default=500, help='default: %(default)s')
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/ablate'))
    return parser.parse_args()


def main() -> int:
    """Fits, writes, and returns the exit status."""
    args = parse_args()
    torch.manual_seed(args.seed)
    try:
        config = Config.fromfile(args.config)
        model = start_model(config, args.checkpoint).eval()
        readout = model.head.readout
        if not isinstance(readout, TokenRelation):
            raise SettingError(f'{args.config}: readout must be a TokenRelation, got {readout}')
        if readout.scale.any():
            raise SettingError(f'{args.checkpoint}: its readout is fitted already')
        features = args.work_dir / 'features'
        feature_cache.claim_folder(features, config)
        parts = feature_cache.training_parts(config)
        for part in parts:
            feature_cache.make_part(config, features, part)
        clips = feature_cache.load_training(features, parts)
        fit_places(
            readout,
            peaks_of(model, readout, clips),
            clips,
            model.head.decoder,
            args.steps,
            seed=args.seed,
        )
        with replacing(args.out) as partial:
            torch.save(dict(state_dict=model.state_dict()), partial)
    except (RPSTNError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    print(args.out)
    return 0


if __name__ == '__main__':
    sys.exit(main())

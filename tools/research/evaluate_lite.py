r"""Measure RPSTN-Lite beside its references on JHMDB, and write the table of docs/model_zoo.md.

python tools/research/evaluate_lite.py --mediapipe --blazepose \
    --row RPSTN-Lite configs/lite/rpstn_lite.py work_dirs/rpstn_lite/epoch_8.pth \
    --row "single frame" configs/lite/single_lite.py work_dirs/single_lite/epoch_8.pth

Every row is measured on crops from labels and on whole frames, of which nothing is known. The first
row is compared with all others by a paired bootstrap over clips. A row of several seeds names its
checkpoints with commas between them; it shows means and standard deviations. Without --row the
model that comes with the package is measured. Settings are chosen on --subset val; the test clips
(the default) are for the table alone.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from rpstn.checkpoints import ModelError
from rpstn.engine.loading import load_model
from rpstn.engine.shipped import shipped_files
from rpstn.errors import RPSTNError
from rpstn.files import write_text
from rpstn.pose.datasets import ClipDataset

from blazepose_alone import BlazePoseAlone
from lite_evaluation import Evaluation, evaluate, jhmdb_clips, videos
from lite_predictors import (
    Predictor,
    frame_milliseconds,
    inferencer_predictor,
    label_predictor,
    mediapipe_predictor,
    model_megabytes,
    model_milliseconds,
    seen_crops,
    streaming_inferencer,
)
from lite_table import DIFFERENCES, Rows, difference_table, group_table, legend_text, main_table
from mediapipe_pose import weights_megabytes

BEGIN, END = '<!-- lite table -->', '<!-- end of lite table -->'
SHIPPED = 'RPSTN-Lite, as shipped'


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--row',
        nargs=3,
        action='append',
        default=[],
        metavar=('NAME', 'CONFIG', 'CHECKPOINT[,CHECKPOINT]'),
        help='a model',
    )
    parser.add_argument(
        '--mediapipe',
        action='store_true',
        help='MediaPipe Pose full, on whole frames doubled in size, tracking on',
    )
    parser.add_argument(
        '--blazepose',
        action='store_true',
        help="MediaPipe's detector and landmark network, each frame for itself",
    )
    parser.add_argument('--subset', default='test', choices=['val', 'test', 'train', 'trainval'])
    parser.add_argument('--data-root', default='jhmdb', help='(default: %(default)s)')
    parser.add_argument('--every', type=int, default=1, help='only every so many clips, to try it')
    parser.add_argument(
        '--flip', action='store_true', help='average crops of the labels with the mirrored frame'
    )
    parser.add_argument('--seed', type=int, default=0, help='of the occluders')
    parser.add_argument('--threads', type=int, default=2, help='of torch (default: %(default)s)')
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('docs/model_zoo.md'),
        help='page whose table is replaced, or - for none (default: %(default)s)',
    )
    parser.add_argument('--json', type=Path, help='file for all figures')
    args = parser.parse_args()
    if args.every < 1:
        parser.error(f'--every {args.every}: must be at least 1')
    if str(args.out) != '-' and args.out.is_file() and BEGIN not in args.out.read_text():
        parser.error(f'--out {args.out}: has no line {BEGIN}')
    return args


class Measurement:
    """The clips, and how each kind of row is measured on them.

    Args:
        dataset: the clips.
        args: of the command line.
    """

    def __init__(self, dataset: ClipDataset, args: argparse.Namespace) -> None:
        self.dataset = dataset
        self.args = args
        self.first = next(videos(dataset))

    def model(self, name: str, *files: str) -> Iterator[Evaluation]:
        """One of ours, from config and checkpoint; the shipped one without."""
        model = load_model(*(files or shipped_files('lite')))
        crops = self._part(name, seen_crops(model), label_predictor(model, self.args.flip))
        crops.milliseconds = model_milliseconds(model)
        whole = self._part(name, 'whole frames', inferencer_predictor(streaming_inferencer(*files)))
        for part in (crops, whole):
            part.megabytes = model_megabytes(model)
            yield part

    def blazepose(self) -> Iterator[Evaluation]:
        """Single frames of BlazePose."""
        alone = BlazePoseAlone()
        network, detector = map(model_megabytes, (alone.network, alone.detector))
        for seen, predict, megabytes in (
            ('label boxes', alone.from_label_boxes, network),
            ('label poses', alone.from_label_poses, network),
            ('whole frames', alone.from_whole_frames, network + detector),
        ):
            part = self._part('BlazePose alone', seen, predict)
            part.megabytes = megabytes
            yield part

    def mediapipe(self) -> Iterator[Evaluation]:
        """MediaPipe's own pipeline, and what it would be with ours behind it."""
        names = {'MediaPipe Pose, full': False, 'MediaPipe, smoothed alike': True}
        for name, smoothed in names.items():
            part = self._part(name, 'whole frames', mediapipe_predictor(smoothed=smoothed))
            part.megabytes = weights_megabytes()
            yield part

    def _part(self, name: str, seen: str, predict: Predictor) -> Evaluation:
        part = evaluate(name, seen, predict, self.dataset, self.args.every, self.args.seed)
        part.milliseconds = frame_milliseconds(predict, self.first)
        return part


def measure(dataset: ClipDataset, args: argparse.Namespace) -> Rows:
    """Runs of all rows that are asked for, by name and what they see."""
    measurement = Measurement(dataset, args)
    parts: list[Evaluation] = []
    for name, config, checkpoints in args.row:
        for checkpoint in checkpoints.split(','):
            parts += measurement.model(name, config, checkpoint)
    if not args.row:
        parts += measurement.model(SHIPPED)
    if args.blazepose:
        parts += measurement.blazepose()
    if args.mediapipe:
        parts += measurement.mediapipe()
    rows: dict[tuple[str, str], list[Evaluation]] = {}
    for part in parts:
        rows.setdefault((part.name, part.seen), []).append(part)
    return rows


def tables(rows: Rows, dataset: ClipDataset, args: argparse.Namespace) -> str:
    """All tables, and what they are of."""
    counts = dataset.sequences.lengths()[:: args.every]
    some = f' (every {args.every}th clip)' if args.every > 1 else ''
    caption = (
        f'PCK@0.2 in percent on {int(counts.sum())} frames of {len(counts)} clips of JHMDB, '
        f'split 1, `{args.subset}`{some}, by `tools/research/evaluate_lite.py`.'
    )
    legend = legend_text(rows, args.seed, args.threads, args.flip)
    parts = [caption, legend, main_table(rows)]
    if differences := difference_table(rows):
        parts += [DIFFERENCES, differences]
    return '\n\n'.join([*parts, group_table(rows)])


def write_between(
    path: Path, text: str, begin: str = BEGIN, end: str = END, title: str = 'Model zoo'
) -> None:
    """Put the text between the page's two markers; a page of its own where there is none."""
    page = path.read_text(encoding='utf-8') if path.is_file() else f'# {title}\n\n{begin}\n{end}\n'
    before, found_begin, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found_begin and found_end):
        raise ModelError(f'{path}: must have the lines {begin} and {end}')
    write_text(path, f'{before}{begin}\n{text}\n{end}{after}')


def main() -> int:
    """Measures, writes, and returns the exit status."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    logging.disable(logging.INFO)  # the metric tells of every clip
    try:
        for _, _, checkpoints in args.row:  # all, before hours of measuring
            for checkpoint in checkpoints.split(','):
                if not Path(checkpoint).is_file():
                    raise ModelError(f'{checkpoint}: no such checkpoint file')
        dataset = jhmdb_clips(args.subset, data_root=args.data_root)
        rows = measure(dataset, args)
        text = tables(rows, dataset, args)
        print(text)
        if str(args.out) != '-':
            write_between(args.out, text)
        if args.json:
            runs = [asdict(run) for runs in rows.values() for run in runs]
            write_text(args.json, json.dumps(runs, indent=1, default=np.ndarray.tolist))
    except (RPSTNError, FileNotFoundError, ImportError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        logging.disable(logging.NOTSET)
    return 0


if __name__ == '__main__':
    sys.exit(main())

"""Look at a config's data: a contact sheet of augmented clips, and a table of its annotations."""

from __future__ import annotations

import argparse

import cv2
import numpy as np
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope

import rpstn  # noqa: F401
from rpstn.drawing import write_image
from rpstn.engine.configs import read_config
from rpstn.files import WriteError
from rpstn.pose.datasets import ClipDataset
from rpstn.pose.datasets.inspection import DatasetSummary, summarize

from mmpose.registry import DATASETS  # isort: skip (rpstn makes it work)
from mmpose.structures.bbox import get_warp_matrix  # isort: skip (rpstn makes it work)

CELL = 192


def parse_args() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file path')
    parser.add_argument(
        '--subset',
        default='train',
        choices=['train', 'val', 'test'],
        help='whose data loader to look at (default: train)',
    )
    parser.add_argument(
        '--out',
        default='work_dirs/check_dataset.png',
        help='file of the contact sheet (default: %(default)s)',
    )
    parser.add_argument(
        '--clips',
        type=int,
        default=8,
        help='number of clips drawn, at even distances (default: %(default)s)',
    )
    parser.add_argument(
        '--worst',
        type=int,
        default=10,
        help='number of suspicious sequences named (default: %(default)s)',
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of the augmentation')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='override settings of the config, as key=value',
    )
    return parser.parse_args()


def clip_dataset_config(cfg: Config, subset: str) -> dict:
    """The data set of a loader, out of any wrapper, its pipeline ended before packing."""
    loader = cfg.get(f'{subset}_dataloader')
    if not loader:
        raise SystemExit(f'{cfg.filename} has no {subset}_dataloader')
    dataset = loader.dataset
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    if 'datasets' in dataset:
        raise SystemExit(
            'the config joins several data sets; check one at a time, with '
            f'--cfg-options {subset}_dataloader.dataset=...'
        )
    pipeline = [t for t in dataset.get('pipeline', []) if t['type'] != 'PackClipInputs']
    return {**dataset, 'pipeline': pipeline}


def input_warp(frame: dict) -> np.ndarray:
    """The (2, 3) matrix from image to input pixels that the frame was cut out with.

    With unbiased data processing (``use_udp``) it is off by half a pixel, which no eye sees.
    """
    if 'input_size' not in frame:
        return np.eye(2, 3)
    rotation = frame['bbox_rotation'][0] if 'bbox_rotation' in frame else 0.0
    return get_warp_matrix(
        frame['input_center'], frame['input_scale'], rotation, frame['input_size']
    )


def draw_frame(frame: dict, metainfo: dict) -> np.ndarray:
    """A cell (CELL, CELL, 3) of the sheet: box, limbs, joints; occluded ones are hollow."""
    image = frame['img'].copy()
    scale = CELL / max(image.shape[:2])
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    points = frame.get('transformed_keypoints', frame['keypoints'])[0] * scale
    labelled = frame['keypoints_visible'][0] > 0
    occluded = frame['keypoints_occluded'][0] > 0
    x1, y1, x2, y2 = frame['bbox'][0]
    corners = np.array([[[x1, y1], [x2, y1], [x2, y2], [x1, y2]]], np.float32)
    corners = cv2.transform(corners, input_warp(frame))[0] * scale
    cv2.polylines(image, [np.rint(corners).astype(np.int32)], True, (255, 255, 255), 1)
    for (a, b), color in zip(
        metainfo['skeleton_links'], metainfo['skeleton_link_colors'], strict=True
    ):
        if labelled[a] and labelled[b]:
            hidden = occluded[a] or occluded[b]
            cv2.line(
                image,
                _pixel(points[a]),
                _pixel(points[b]),
                _bgr(color),
                1 if hidden else 2,
                cv2.LINE_AA,
            )
    for point, known, hidden, color in zip(
        points, labelled, occluded, metainfo['keypoint_colors'], strict=True
    ):
        if known:
            cv2.circle(image, _pixel(point), 4, (0, 0, 0), -1 if not hidden else 1, cv2.LINE_AA)
            cv2.circle(image, _pixel(point), 3, _bgr(color), -1 if not hidden else 1, cv2.LINE_AA)
    label = (
        f'{frame["frame_index"]}'
        + (' padded' if frame['padded'] else '')
        + (' flipped' if frame.get('flip') else '')
    )
    cv2.putText(image, label, (3, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(
        image, label, (3, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (255, 255, 255), 1, cv2.LINE_AA
    )
    cell = np.zeros((CELL, CELL, 3), np.uint8)
    cell[: image.shape[0], : image.shape[1]] = image[:CELL, :CELL]
    return cell


def contact_sheet(dataset: ClipDataset, clips: int) -> np.ndarray:
    """One row per clip, one column per frame, the clip's name above."""
    rows = []
    for index in np.linspace(0, len(dataset) - 1, min(clips, len(dataset))).astype(int):
        clip = dataset[int(index)]
        row = np.hstack([draw_frame(frame, dataset.metainfo) for frame in clip['frames']])
        title = np.full((18, row.shape[1], 3), 40, np.uint8)
        cv2.putText(
            title,
            clip['video'],
            (3, 13),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.4,
            (255, 255, 255),
            1,
            cv2.LINE_AA,
        )
        rows += [title, row]
    return np.vstack(rows)


def table(dataset: ClipDataset, summary: DatasetSummary, worst: int) -> str:
    """The counts, and the sequences to look at."""
    joints = summary.labelled + summary.outside + summary.missing
    rows = [
        ('clips', len(dataset), ''),
        ('sequences', len(dataset.sequences), ''),
        ('sequences left out', len(dataset.bad_sequences), ''),
        ('frames', summary.frames, ''),
        ('joints', joints, ''),
    ]
    rows += [
        (name, getattr(summary, name), f'{getattr(summary, name) / max(joints, 1):7.2%}')
        for name in ('labelled', 'visible', 'occluded', 'outside', 'missing')
    ]
    rows.append(
        (
            'suspicious frames',
            summary.suspicious,
            f'{summary.suspicious / max(summary.frames, 1):7.2%}',
        )
    )
    lines = [f'{name:<20}{value:>12,}  {share}'.rstrip() for name, value, share in rows]
    if summary.sequences:
        lines.append(f'\nmost suspicious of {len(summary.sequences)} sequences (frames):')
        lines += [
            f'  {name}: ' + ', '.join(f'{reason} {n}' for reason, n in reasons.items())
            for name, reasons in summary.worst(worst)
        ]
    if dataset.bad_sequences:
        lines.append('\nleft out:')
        lines += [f'  {line}' for line in dataset.bad_sequences]
    return '\n'.join(lines)


def _pixel(point: np.ndarray) -> tuple[int, int]:
    return int(round(float(point[0]))), int(round(float(point[1])))


def _bgr(color: np.ndarray) -> tuple[int, ...]:
    return tuple(int(c) for c in color[::-1])


def main() -> None:
    """Write the sheet, print the table."""
    args = parse_args()
    cfg = read_config(args.config)
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    dataset = DATASETS.build(clip_dataset_config(cfg, args.subset))
    if not isinstance(dataset, ClipDataset):
        raise SystemExit(f'{type(dataset).__name__} is not a data set of clips')
    np.random.seed(args.seed)
    sheet = contact_sheet(dataset, args.clips)
    try:
        write_image(args.out, sheet)
    except WriteError as error:
        raise SystemExit(f'{error}; .png and .jpg can be') from None
    sequences = [dataset.sequences[i] for i in range(len(dataset.sequences))]
    summary = summarize(sequences, dataset.metainfo['skeleton_links'])
    print(f'\n{table(dataset, summary, args.worst)}\n\ncontact sheet: {args.out}')


if __name__ == '__main__':
    main()

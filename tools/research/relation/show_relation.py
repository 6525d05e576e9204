"""Show what the joint relation of a trained model learned: W_r over time, beside the frames.

    python tools/research/relation/show_relation.py CONFIG CHECKPOINT --clip 3 --out out
    python tools/research/relation/show_relation.py CONFIG CHECKPOINT squat.mp4 --out out

Takes a clip of the config's test data (an image, where the model is one of images), or a video
file, a folder of images or an image. Writes, with the clip's or the video's name,

    OUT/NAME.png   frames with joints, W_r below each, and the joints that most support those
                   that are occluded (by the labels; where none is, those with the lowest scores)
    OUT/NAME.mp4   every frame beside its W_r (not of a single image)
    OUT/NAME.npz   relation (N, K, K), frame, keypoints (N, K, 2), scores, occluded (N, K), joints;
                   of a relation that displaces also places (N, K, 2), pixels, and gates (N, K)
    OUT/NAME.json  the shares of every joint looked at, and how sharp the relation is

A row of W_r is what its joint draws on: W_r mixes maps that Conv_g made of all joints, and Conv_o
mixes them again, so that the shares tell of the relation, and not of the whole module. Of one that
displaces (TokenRelation, PairwiseRelation) arrows lead from the joints that inform another to
where they put it, a cross, the more opaque the more it counts.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

# One line of our own instead of FFmpeg's and OpenCV's many.
os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
os.environ.setdefault('OPENCV_LOG_LEVEL', 'ERROR')

import cv2
import numpy as np
import torch
from mmengine.config import DictAction

import rpstn  # noqa: F401 (before MMPose: makes the OpenMMLab stack work)
from rpstn.checkpoints import ModelError
from rpstn.engine.configs import read_config
from rpstn.engine.loading import load_model
from rpstn.files import staging
from rpstn.pose.boxes import BoxError
from rpstn.pose.datasets import ClipDataset
from rpstn.pose.datasets.sequence import BadSequenceError
from rpstn.video.frames import FrameSource, open_frames
from rpstn.video.readers import UnreadableFrameError

from related_clip import RelatedClip
from relation_figures import plot_relations, write_relation_video
from relation_summary import Support, describe, find_support, own_share, row_entropy
from relations import dataset_of, find_relation, relate_item, relate_video


def parse_args() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        'video',
        nargs='?',
        type=Path,
        help="video file, folder of images, or image; without it, a clip of the config's data",
    )
    parser.add_argument(
        '--split',
        default='test',
        choices=['train', 'val', 'test'],
        help='whose data (default: %(default)s)',
    )
    parser.add_argument(
        '--clip',
        type=int,
        default=0,
        metavar='N',
        help='number of the clip, or image, in the data set (default: 0)',
    )
    parser.add_argument(
        '--whole', action='store_true', help='all clips of the video that clip N is of'
    )
    parser.add_argument(
        '--joint',
        action='append',
        default=[],
        metavar='NAME',
        help='joint whose supporters are shown, in place of the occluded ones; '
        'may be given several times',
    )
    parser.add_argument(
        '--relation',
        metavar='NAME',
        help='of several relations, which: its class, e.g. TokenRelation, or path in the model',
    )
    parser.add_argument(
        '--columns', type=int, default=5, help='frames drawn in the figure (default: %(default)s)'
    )
    parser.add_argument(
        '--box',
        default='follow',
        help='where the person is in the video, as in rpstn infer (default: %(default)s)',
    )
    parser.add_argument(
        '--kpt-thr',
        type=float,
        help="score from which a joint is drawn, and trusted when following (default: the model's)",
    )
    parser.add_argument(
        '--fps',
        type=float,
        help="frames per second of the MP4 (default: the video's own; 5 for a clip of a data set)",
    )
    parser.add_argument('--out', type=Path, required=True, help='folder of the results')
    parser.add_argument(
        '--device',
        default='cuda' if torch.cuda.is_available() else 'cpu',
        help='as torch names it (default here: %(default)s)',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='settings of the config to replace, as key=value',
    )
    args = parser.parse_args()
    for option, value in (('--columns', args.columns), ('--fps', args.fps)):
        if value is not None and not value > 0:
            parser.error(f'{option} must be above 0, got {value}')
    return args


def video_clip(
    model: torch.nn.Module, args: argparse.Namespace, source: FrameSource
) -> tuple[str, RelatedClip]:
    """Name and contents of a video file, a folder of images or an image."""

    def images(places: Sequence[int]) -> Iterator[np.ndarray]:
        wanted = set(places)
        return (frame.image for frame in source if frame.index in wanted)

    name = source.path.resolve().name if source.path.is_dir() else source.path.stem
    frames = relate_video(model, source, args.box, args.kpt_thr, args.relation)
    return name, RelatedClip(
        f'Joint relation $W_r$: {_plain(name)}', frames, images, model.dataset_meta
    )


def dataset_clip(model: torch.nn.Module, args: argparse.Namespace) -> tuple[str, RelatedClip]:
    """Name and contents of a clip, or an image, of the config's data."""
    dataset = dataset_of(model.cfg, args.split)
    frames = relate_item(model, dataset, args.clip, args.whole, args.relation)
    info = dataset.get_data_info(args.clip)
    if isinstance(dataset, ClipDataset):
        video = info['video']
        name = f'{video.replace("/", "_")}' + ('' if args.whole else f'_{frames[0].index}')

        def images(places: Sequence[int]) -> Iterable[np.ndarray]:
            return dataset.read_frames(video, [frames[place].index for place in places])
    else:
        video = Path(info['img_path']).name
        name = f'{Path(video).stem}_{args.clip}'

        def images(places: Sequence[int]) -> Iterable[np.ndarray]:
            return [cv2.imread(info['img_path']) for _ in places]

    return name, RelatedClip(
        f'Joint relation $W_r$: {_plain(video)}', frames, images, dataset.metainfo
    )


def write_numbers(
    path: Path, clip: RelatedClip, supports: Sequence[Support], args: argparse.Namespace
) -> None:
    """The matrices as NPZ, the shares as JSON."""
    relation, joints = clip.relation, clip.joints
    displaced = {
        name: np.array([getattr(frame, name) for frame in clip.frames])
        for name in ('places', 'gates')
        if getattr(clip.frames[0], name) is not None
    }
    np.savez_compressed(
        path.with_suffix('.npz'),
        relation=relation,
        joints=np.array(joints),
        frame=np.array([frame.index for frame in clip.frames]),
        keypoints=np.array([frame.person.keypoints for frame in clip.frames]),
        scores=np.array([frame.person.scores for frame in clip.frames]),
        occluded=np.array([frame.occluded for frame in clip.frames]),
        **displaced,
    )
    path.with_suffix('.json').write_text(
        json.dumps(
            dict(
                config=args.config,
                checkpoint=args.checkpoint,
                summary=describe(relation),
                row_entropy=float(row_entropy(relation).mean()),
                own_share=float(own_share(relation).mean()),
                frames=[frame.index for frame in clip.frames],
                joints={
                    joints[support.joint]: dict(
                        why=support.why,
                        own=support.own,
                        frames=[
                            frame.index for frame, used in zip(clip.frames, support.frames) if used
                        ],
                        supporters=[
                            dict(joint=joints[j], share=mean, std=std)
                            for j, mean, std in zip(support.supporters, support.mean, support.std)
                        ],
                    )
                    for support in supports
                },
            ),
            indent=1,
        )
    )


def _plain(name: str) -> str:
    """A name in which matplotlib sees no formula."""
    return name.replace('$', r'\$')


def main() -> None:
    """Run the tool; exit status 1, and one line on what is wrong, if it cannot."""
    args = parse_args()
    try:
        source = open_frames(args.video) if args.video is not None else None
        if not Path(args.config).is_file():
            raise ModelError(f'{args.config}: no such config file')
        cfg = read_config(args.config)
        cfg.merge_from_dict(args.cfg_options)
        model = load_model(cfg, args.checkpoint, args.device)
        find_relation(model, args.relation)  # before anything long
        name, clip = (
            dataset_clip(model, args) if source is None else video_clip(model, args, source)
        )
        supports = find_support(clip.frames, clip.joints, args.joint)
        with staging(args.out) as folder:
            write_numbers(folder / f'{name}.npz', clip, supports, args)
            plot_relations(clip, supports, folder / f'{name}.png', args.columns, args.kpt_thr)
            if len(clip.frames) > 1:
                fps = args.fps or (5 if source is None else source.fps)
                write_relation_video(clip, supports, folder / f'{name}.mp4', fps, args.kpt_thr)
            written = sorted(path.name for path in folder.iterdir())
    except (
        ModelError,
        BoxError,
        UnreadableFrameError,
        BadSequenceError,
        OSError,
        ValueError,
    ) as error:
        raise SystemExit(str(error)) from None
    print(f'frames {clip.frames[0].index} to {clip.frames[-1].index}: {describe(clip.relation)}')
    for support in supports:
        best = ', '.join(
            f'{clip.joints[j]} {100 * share:.1f} %'
            for j, share in islice(zip(support.supporters, support.mean), 3)
        )
        print(
            f'{clip.joints[support.joint]} ({support.why}): itself {100 * support.own:.1f} %, '
            f'{best}'
        )
    print('written: ' + ', '.join(str(args.out / file) for file in written))


if __name__ == '__main__':
    main()

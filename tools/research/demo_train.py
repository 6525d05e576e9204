"""Train a small RPSTN on synthetic clips and compare it with its single-frame baseline.

    python tools/research/demo_train.py

Both start from one single-frame model and are then trained alike: the same clips, in the same
order, for as many epochs, with the same optimizer. Everything is written to
work_dirs/demo_train.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from mmengine.runner import Runner
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import rpstn  # noqa: F401 (before MMPose: makes the OpenMMLab stack work)
from rpstn.drawing import draw_pose
from rpstn.engine.loading import joint_names
from rpstn.engine.runner import build_runner, fit_machine
from rpstn.files import replacing, write_text
from rpstn.pose import VideoPCK
from rpstn.tables import format_table
from rpstn.video.frames import VideoWriter

from figures import plot_curves, plot_relation

CONFIGS = Path(__file__).parents[2] / 'configs'
METRIC = 'bbox_PCK@0.2/mean'
ZOOM = 2


class ProgressHook(Hook):
    """A progress bar with time left, loss and the last validation's PCK."""

    def __init__(self, title: str) -> None:
        self.title, self.pck = title, ''
        self.bar = Progress(
            TextColumn('{task.description:<24}'),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn('{task.fields[state]}'),
        )
        self.task = self.bar.add_task(title, total=None, state='')

    def before_train(self, runner: Runner) -> None:
        self.bar.update(self.task, total=runner.max_iters)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        self.bar.update(self.task, advance=1, state=f'loss {outputs["loss"].item():.5f}{self.pck}')

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        self.pck = f'  PCK {100 * metrics[METRIC]:.1f}'
        if not self.bar.console.is_terminal:  # no bar there: a line now and then
            print(f'{self.title}: epoch {runner.epoch}{self.pck}', flush=True)


def train(
    title: str, config: str, args: argparse.Namespace, name: str, start: Path | None = None
) -> Runner:
    """Train one model; P and F of RPSTN, or the whole baseline, start from ``start``."""
    cfg = Config.fromfile(CONFIGS / config)
    cfg.merge_from_dict(args.cfg_options)
    work_dir, epochs = args.work_dir / name, args.epochs
    cfg.work_dir = str(work_dir)
    cfg.log_level = 'ERROR'  # the progress bar says what matters
    cfg.train_cfg.update(max_epochs=epochs, val_interval=min(cfg.train_cfg.val_interval, epochs))
    cfg.param_scheduler[1].T_max = epochs
    cfg.default_hooks.checkpoint.save_best = METRIC
    fit_machine(cfg)
    if start is not None and cfg.model.type == 'VideoPoseEstimator':
        single_frame = dict(type='Pretrained', checkpoint=str(start))
        cfg.model.backbone.update(encoder_init=single_frame, initializer_init=single_frame)
    elif start is not None:
        cfg.load_from = str(start)
    runner = build_runner(cfg)
    progress = ProgressHook(title)
    runner.register_hook(progress)
    with progress.bar:
        runner.train()
    return runner


class RelationMean:
    """Mean relation matrix over everything that passes through a JRE."""

    def __init__(self, jre: torch.nn.Module) -> None:
        self.sum, self.count = 0, 0
        self.handle = jre.register_forward_hook(self.add)

    def add(self, jre: torch.nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        relation = jre.relation(inputs[0])
        self.sum, self.count = self.sum + relation.sum(0), self.count + len(relation)

    def take(self) -> np.ndarray:
        """The mean so far, (K, K); the hook is removed."""
        self.handle.remove()
        return (self.sum / self.count).cpu().numpy()


def mean_pose_pck(train_set, test_set) -> dict[str, float]:
    """Chance level: every joint at its mean place in the box, whatever the image shows."""

    def frames(dataset):
        return [frame for i in range(len(dataset)) for frame in dataset.get_data_info(i)['frames']]

    def corner_and_size(frame):
        box = frame['bbox'][0]
        return box[:2], box[2:] - box[:2]

    places, weights = [], []
    for frame in frames(train_set):
        corner, size = corner_and_size(frame)
        places.append((frame['keypoints'][0] - corner) / size)
        weights.append(frame['keypoints_visible'][0])
    mean = np.average(places, axis=0, weights=np.repeat(np.array(weights)[..., None], 2, -1))
    samples = []
    for frame in frames(test_set):
        corner, size = corner_and_size(frame)
        samples.append(
            dict(
                img_id=frame['img_id'],
                padded=frame['padded'],
                gt_instances=dict(
                    bboxes=frame['bbox'],
                    keypoints=frame['keypoints'],
                    keypoints_visible=frame['keypoints_visible'],
                    keypoints_occluded=frame['keypoints_occluded'],
                ),
                pred_instances=dict(keypoints=(mean * size + corner)[None]),
            )
        )
    metric = VideoPCK()
    metric.dataset_meta = test_set.metainfo
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def write_video(models: dict[str, torch.nn.Module], dataset, out: Path) -> None:
    """Predictions of the models side by side, on the first test sequence of each motion."""
    first = {}
    for sequence in dataset.sequences:
        first.setdefault(sequence.action, sequence.name)
    width, height = (side * ZOOM for side in dataset.sequences[0].image_size)
    size = width * len(models), height
    with replacing(out) as partial, VideoWriter(partial, 12.5, size) as video:
        for index in range(len(dataset)):
            if dataset.get_data_info(index)['video'] not in first.values():
                continue
            batch = pseudo_collate([dataset[index]])
            panels = []
            for name, model in models.items():
                with torch.no_grad():
                    samples = model.test_step(copy.deepcopy(batch))
                panels.append(
                    [
                        draw_sample(dataset, sample, name)
                        for sample in samples
                        if not sample.metainfo['padded']
                    ]
                )
            for row in zip(*panels, strict=True):
                video.write(np.hstack(row))


def draw_sample(dataset, sample, title: str) -> np.ndarray:
    """One enlarged frame with the predicted skeleton."""
    image = dataset.read_frame(sample.metainfo['video'], sample.metainfo['frame_index'])
    image = cv2.resize(image, None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_CUBIC)
    found = sample.pred_instances
    # Every joint, as PCK counts every one: in a clip's first frame RPSTN is sure of none so soon.
    draw_pose(
        image, found.keypoints[0] * ZOOM, found.keypoint_scores[0], dataset.metainfo, kpt_thr=-1
    )
    return cv2.putText(
        image, title, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA
    )


def main() -> None:
    """Train, compare, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/demo_train'))
    parser.add_argument(
        '--epochs',
        type=int,
        default=Config.fromfile(CONFIGS / 'rpstn_demo.py').max_epochs,
        help='of each training (default: %(default)s)',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='settings of both configs to replace, as key=value',
    )
    args = parser.parse_args()
    began, out = time.time(), args.work_dir

    train('single frame, start', 'baseline_demo.py', args, 'start')
    start = out / 'start' / f'epoch_{args.epochs}.pth'
    baseline = train('single frame, further', 'baseline_demo.py', args, 'single_frame', start)
    rpstn_run = train('RPSTN', 'rpstn_demo.py', args, 'rpstn', start)

    relation = RelationMean(rpstn_run.model.head.relation)
    figures = {'RPSTN': rpstn_run.test(), 'single frame': baseline.test()}
    test_set = rpstn_run.test_dataloader.dataset
    figures['mean pose (chance)'] = mean_pose_pck(rpstn_run.train_dataloader.dataset, test_set)
    write_text(out / 'pck.json', json.dumps(figures, indent=1))
    columns = [
        name.split('/')[1]
        for name in figures['RPSTN']
        if name.startswith('bbox') and '/joint/' not in name
    ]
    for normalizer in ('torso', 'bbox'):
        print(
            f'\nPCK@0.2 of {normalizer}, percent, {len(test_set)} test clips, '
            'none of whose athletes was trained on'
        )
        print(
            format_table(
                ['', *columns],
                [
                    [name, *(values[f'{normalizer}_PCK@0.2/{column}'] for column in columns)]
                    for name, values in figures.items()
                ],
                scale=100,
            )
        )
    joints = joint_names(test_set.metainfo)
    plot_relation(relation.take(), joints, out / 'relation.png')
    plot_curves(
        {'RPSTN': out / 'rpstn', 'single frame': out / 'single_frame'}, METRIC, out / 'curves.png'
    )
    write_video(
        {'single frame': baseline.model, 'RPSTN': rpstn_run.model},
        test_set,
        out / 'predictions.mp4',
    )
    print(
        f'\nRPSTN and the single-frame model went on from one single-frame model of '
        f'{args.epochs} epochs, {args.epochs} epochs each on the same clips.'
    )
    for name, what in (
        ('predictions.mp4', 'both models on a test sequence of each motion'),
        ('relation.png', 'the learned joint-relation matrix'),
        ('curves.png', 'loss and PCK'),
        ('pck.json', 'all figures'),
    ):
        print(f'{out / name}: {what}')
    print(f'{time.time() - began:.0f} s in all')


if __name__ == '__main__':
    main()

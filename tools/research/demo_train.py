"""Teach the shipped model's encoder to find hidden joints, on synthetic clips, and see who does.

    python tools/research/demo_train.py

RPSTN and its single-frame twin start from the weights that come with the package and are trained
alike: the same clips, in the same order, for as many epochs, with the same loss and optimizer.
Everything is written to work_dirs/demo_train.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Mapping, Sequence
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
from rpstn.checkpoints import read_checkpoint
from rpstn.drawing import draw_pose
from rpstn.engine.runner import build_runner, fit_machine
from rpstn.engine.shipped import shipped_files
from rpstn.files import replacing, write_text
from rpstn.pose import VideoPCK
from rpstn.pose.evaluation.pck import torso_joints
from rpstn.skeletons import get_skeleton, joint_weights
from rpstn.tables import format_table
from rpstn.video.frames import VideoWriter

from bootstrap import ClipCounts, paired_bootstrap
from figures import plot_curves
from lite_evaluation import right_joints
from lite_table import difference_text

CONFIGS = Path(__file__).parents[2] / 'configs/tutorial'
MODELS = {'single frame': 'single', 'RPSTN': 'rpstn'}
JOINTS = get_skeleton('penn13')
NORMALIZERS = {'torso': 'torso', 'bbox': 'box'}
METRIC = 'torso_PCK@0.2/mean'
ZOOM = 2


def save_start(path: Path) -> None:
    """The shipped model's single-frame part as a checkpoint for the configs: its encoder, and a
    last layer for the tutorial's joints, each from those of its 33 that it lies on or between."""
    weights = read_checkpoint(shipped_files('lite')[1])['state_dict']
    prefix = 'backbone.encoder.'
    single = {
        key.removeprefix(prefix): value
        for key, value in weights.items()
        if key.startswith(f'{prefix}backbone.')
    }
    mix = torch.zeros(JOINTS.num_joints, len(weights['backbone.heatmaps.bias']))
    for joint, parts in enumerate(joint_weights('blazepose33', JOINTS)):
        for part, share in parts.items():
            mix[joint, part] = share
    for name in ('weight', 'bias'):
        value = weights[f'backbone.heatmaps.{name}'].float()
        single[f'head.final_layer.{name}'] = torch.tensordot(mix, value, 1)
    names = dict(enumerate(JOINTS.joints))
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        torch.save(
            dict(state_dict=single, meta=dict(dataset_meta=dict(keypoint_id2name=names))), partial
        )


class ProgressHook(Hook):
    """A progress bar with time left, loss and the last validation's PCK."""

    def __init__(self, title: str) -> None:
        self.title, self.pck = title, ''
        self.bar = Progress(
            TextColumn('{task.description:<14}'),
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


def train(title: str, args: argparse.Namespace) -> Runner:
    """Train one of both models."""
    cfg = Config.fromfile(CONFIGS / f'{MODELS[title]}.py')
    cfg.merge_from_dict(args.cfg_options)
    cfg.work_dir = str(args.work_dir / MODELS[title])
    cfg.log_level = 'ERROR'  # the progress bar says what matters
    cfg.train_cfg.update(
        max_epochs=args.epochs, val_interval=min(cfg.train_cfg.val_interval, args.epochs)
    )
    cfg.param_scheduler[1].T_max = args.epochs
    start = str(args.work_dir / 'start.pth')
    cfg.model.backbone.pretrained.checkpoint = cfg.model.head.propagator.pretrained = start
    fit_machine(cfg)
    runner = build_runner(cfg)
    progress = ProgressHook(title)
    runner.register_hook(progress)
    with progress.bar:
        runner.train()
    return runner


def evaluate(runner: Runner) -> tuple[dict[str, float], dict[str, dict[str, ClipCounts]]]:
    """On the test clips: VideoPCK's figures, and by normalizer and by ``visible`` or ``occluded``
    what they are made of, clip by clip."""
    metric = VideoPCK(thr=0.2)
    metric.dataset_meta = runner.test_dataloader.dataset.metainfo
    clips: dict[str, list[dict]] = {}
    runner.model.eval()
    with torch.no_grad():
        for batch in runner.test_dataloader:
            samples = [sample.to_dict() for sample in runner.model.test_step(batch)]
            metric.process({}, samples)
            for sample, result in zip(samples, metric.results[-len(samples) :], strict=True):
                clips.setdefault(sample['video'], []).append(result)
    return metric.compute_metrics(metric.results), counts(metric, list(clips.values()))


def counts(metric: VideoPCK, clips: Sequence[Sequence[dict]]) -> dict[str, dict[str, ClipCounts]]:
    """Joints that are right and those that count, by normalizer and by visible or occluded."""
    torso = torso_joints(metric.dataset_meta, metric.torso, 'counts')
    found: dict[str, dict[str, ClipCounts]] = {}
    for normalizer in NORMALIZERS:
        parts: dict[str, list] = {'visible': [], 'occluded': []}
        for clip in clips:
            predicted, keypoints, labelled, occluded, boxes = (
                np.stack([frame[key] for frame in clip])
                for key in ('predicted', 'keypoints', 'labelled', 'occluded', 'bbox')
            )
            right, known = right_joints(predicted, keypoints, labelled, boxes, normalizer, torso)
            for part, chosen in (('visible', ~occluded), ('occluded', occluded)):
                chosen = labelled & chosen & known[:, None]
                parts[part].append([(right & chosen).sum(0), chosen.sum(0)])
        found[normalizer] = {
            part: ClipCounts(*np.moveaxis(np.array(values), 1, 0)) for part, values in parts.items()
        }
    return found


def write_video(models: Mapping[str, torch.nn.Module], dataset, out: Path) -> None:
    """Predictions of the models side by side, on the first test sequence of each motion."""
    first: dict[str, str] = {}
    for sequence in dataset.sequences:
        first.setdefault(sequence.action, sequence.name)
    load, occlude, *others = dataset.pipeline.transforms
    width, height = (side * ZOOM for side in dataset.sequences[0].image_size)
    size = width * len(models), height
    with replacing(out) as partial, VideoWriter(partial, 6.25, size) as video:
        for index in range(len(dataset)):
            item = dataset.get_data_info(index)
            if item['video'] not in first.values():
                continue
            item = occlude(load(item))
            images = [frame['img'] for frame in item['frames']]
            for step in others:
                item = step(item)
            panels = []
            for name, model in models.items():
                with torch.no_grad():
                    samples = model.test_step(copy.deepcopy(pseudo_collate([item])))
                panels.append(
                    [
                        drawn(image, sample, dataset.metainfo, name)
                        for image, sample in zip(images, samples, strict=True)
                    ]
                )
            for row in zip(*panels, strict=True):
                video.write(np.hstack(row))


def drawn(image: np.ndarray, sample, meta: dict, title: str) -> np.ndarray:
    """One enlarged frame with the predicted skeleton."""
    image = cv2.resize(image, None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_CUBIC)
    found = sample.pred_instances
    # Every joint, as PCK counts every one.
    draw_pose(image, found.keypoints[0] * ZOOM, found.keypoint_scores[0], meta, kpt_thr=-1)
    return cv2.putText(
        image, title, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA
    )


def tables(
    figures: Mapping[str, Mapping[str, float]],
    parts: Mapping[str, Mapping[str, Mapping[str, ClipCounts]]],
) -> str:
    """PCK of both models, and their difference with its interval."""
    columns = [
        name.split('/')[1]
        for name in figures['RPSTN']
        if name.startswith('bbox') and '/joint/' not in name
    ]
    rows = [
        [name, shown, *(values[f'{normalizer}_PCK@0.2/{column}'] for column in columns)]
        for normalizer, shown in NORMALIZERS.items()
        for name, values in figures.items()
    ]
    differences = [
        [
            shown,
            *(
                difference_text(
                    paired_bootstrap(
                        *([parts[name][normalizer][part]] for name in ('RPSTN', 'single frame'))
                    )
                )
                for part in ('visible', 'occluded')
            ),
        ]
        for normalizer, shown in NORMALIZERS.items()
    ]
    return '\n\n'.join(
        [
            format_table(['', 'by', *columns], rows, scale=100),
            'RPSTN less the single frame, points, with 95 % intervals of a paired bootstrap over '
            'clips; bold where these exclude 0:',
            format_table(['by', 'visible', 'occluded'], differences),
        ]
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
        default=Config.fromfile(CONFIGS / 'rpstn.py').max_epochs,
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

    save_start(out / 'start.pth')
    runners = {title: train(title, args) for title in MODELS}
    figures, parts = {}, {}
    for title, runner in runners.items():
        figures[title], parts[title] = evaluate(runner)
    write_text(out / 'pck.json', json.dumps(figures, indent=1))
    test_set = runners['RPSTN'].test_dataloader.dataset
    print(f'\nPCK@0.2, percent, {len(test_set)} test clips of athletes that were not trained on:\n')
    print(f'{tables(figures, parts)}\n')
    plot_curves({title: out / name for title, name in MODELS.items()}, METRIC, out / 'curves.png')
    write_video(
        {title: runner.model for title, runner in runners.items()},
        test_set,
        out / 'predictions.mp4',
    )
    for name, what in (
        ('predictions.mp4', 'both models on a test sequence of each motion'),
        ('curves.png', 'loss and PCK'),
        ('pck.json', 'all figures'),
    ):
        print(f'{out / name}: {what}')
    print(f'{time.time() - began:.0f} s in all')


if __name__ == '__main__':
    main()

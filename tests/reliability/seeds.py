"""Good files of every kind that the commands take, small, to be spoilt; and what they give."""

from __future__ import annotations

import csv
import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import scipy.io
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from rpstn.cli.main import main
from rpstn.pose.datasets.metainfo import METAINFO

from tiny_rpstn import SIZE, tiny_config
from video_files import encode, turned

ROOT = Path(__file__).parents[2]
FRAMES = 12
SAVED = ('json', 'csv', 'npz')
"""What the inputs of `rpstn infer` are asked to give."""

_POSE = f"""
_base_ = ['{ROOT}/configs/_base_/default_runtime.py', 'model.py']
visualizer = dict(vis_backends=[dict(type='LocalVisBackend')])
train_cfg = val_cfg = None
test_cfg = dict()
clips = dict(batch_size=4, num_workers=0, persistent_workers=False,
             sampler=dict(type='DefaultSampler', shuffle=False))
pipeline = [
    dict(type='LoadClip'), dict(type='ClipBBox'),
    dict(type='ForEachFrame', transforms=[
        dict(type='TopdownAffine', input_size=({SIZE}, {SIZE}))]),
    dict(type='PackClipInputs')]
test_dataloader = dict(_delete_=True, **clips, dataset=dict(
    type='PennActionDataset', data_root='penn', subset='test', clip_len=3,
    pipeline=pipeline, test_mode=True))
test_evaluator = dict(type='VideoPCK')
"""
_FORM = f"""
_base_ = '{ROOT}/configs/_base_/form_runtime.py'
visualizer = dict(vis_backends=[dict(type='LocalVisBackend')])
custom_hooks = []
train_cfg = val_cfg = val_evaluator = optim_wrapper = param_scheduler = None
model = dict(
    type='TemporalDistanceRecognizer',
    representation=dict(type='JointCoordinates', skeleton='coco17', axes=(0, 1)),
    backbone=dict(type='TemporalResNet1D', in_channels=34),
    cls_head=dict(type='TemporalHead', num_classes=2, in_channels=256))
pipeline = [
    dict(type='ResampleSkeleton', num_frames=8),
    dict(type='FormatGCNInput', num_person=1), dict(type='PackActionInputs')]
test_dataloader = dict(
    batch_size=4, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='SkeletonFormDataset', data_root='form', ann_file='ANN_FILE', test_mode=True,
        metainfo=dict(skeleton='coco17', unit='px', classes=('deep', 'shallow')),
        pipeline=pipeline))
"""


def make_seeds(folder: Path) -> Path:
    """Write them all, with ``expected/`` beside them."""
    make_models(folder)
    argv = ['export', folder / 'model.py', folder / 'model.pth', '--out', folder / 'exported']
    assert main([*map(str, argv), '--clip-len', '3']) == 0
    _videos(folder / 'video')
    _images(folder / 'image')
    _joints(folder / 'joints')
    _form(folder / 'form')
    _runs(folder)
    return folder


def make_models(folder: Path) -> Path:
    """Configs, weights, and the data set of the configs."""
    folder.mkdir(parents=True)
    _penn(folder / 'penn')
    config = tiny_config(channels=8, joints=13)
    config.test_dataloader = dict(
        dataset=dict(
            type='PennActionDataset',
            metainfo=METAINFO['penn13'],
            clip_len=3,
            pipeline=[
                dict(type='LoadClip'),
                dict(type='ClipBBox'),
                dict(
                    type='ForEachFrame',
                    transforms=[dict(type='TopdownAffine', input_size=(SIZE, SIZE))],
                ),
                dict(type='PackClipInputs'),
            ],
        )
    )
    config.dump(folder / 'model.py')
    (folder / 'pose.py').write_text(_POSE)
    for name in ('npz', 'pkl'):
        ann_file = dict(npz='keypoints2d.npz', pkl='annotations.pkl')[name]
        (folder / f'form_{name}.py').write_text(_FORM.replace('ANN_FILE', ann_file))
    for scope, name in (('mmpose', 'model'), ('mmaction', 'form_npz')):
        init_default_scope(scope)
        torch.manual_seed(0)
        built = MODELS.build(Config.fromfile(folder / f'{name}.py').model)
        torch.save(dict(state_dict=built.state_dict(), meta=dict(epoch=3)), folder / f'{name}.pth')
    init_default_scope('mmpose')
    other = dict(torch.load(folder / 'model.pth'))
    torch.save(other, folder / 'old_format.pth', _use_new_zipfile_serialization=False)
    return folder


def pictures(count: int = FRAMES, size: tuple[int, int] = (64, 48)) -> list[np.ndarray]:
    """Blobs that move, of which no two are alike."""
    grid = np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1])), -1)
    images = []
    for t in range(count):
        away = np.linalg.norm(grid - np.array([10 + 4 * t, 24]), axis=-1)
        grey = np.uint8(40 + 180 * np.exp(-(away**2) / 200))
        images.append(np.dstack([grey, np.roll(grey, 5, 1), np.full_like(grey, 20 + 10 * t)]))
    return images


def _videos(folder: Path) -> None:
    folder.mkdir()
    images = pictures()
    for name in ('whole.mp4', 'whole.mkv', 'whole.mov', 'whole.ts'):
        encode(folder / name, images)
    encode(folder / 'whole.avi', images, 'mjpeg', 'yuvj420p')
    encode(folder / 'old.avi', images, 'mpeg4')
    encode(folder / 'whole.webm', images, 'libvpx-vp9')
    encode(folder / 'times.mkv', images, times=[t * 0.04 + 0.003 * (t % 3) for t in range(FRAMES)])
    encode(folder / 'turned.mp4', images)
    turned(folder / 'turned.mp4', 90)
    encode(folder / 'whole.gif', images, 'gif', 'rgb8')


def _images(folder: Path) -> None:
    folder.mkdir()
    for ending in ('png', 'jpg', 'bmp', 'tiff', 'webp'):
        assert cv2.imwrite(str(folder / f'one.{ending}'), pictures(1)[0])


def _penn(folder: Path) -> None:
    rng = np.random.default_rng(0)
    (folder / 'labels').mkdir(parents=True)
    for name in ('0001', '0002'):
        content = dict(
            x=rng.uniform(12, 50, (6, 13)),
            y=rng.uniform(12, 40, (6, 13)),
            visibility=np.ones((6, 13), np.uint8),
            bbox=np.tile([10.0, 10, 55, 45], (6, 1)),
            train=np.array([[-1]]),
            nframes=np.array([[6]], np.uint8),
            action='squat',
            pose='front',
            dimensions=np.array([[48, 64, 6]], np.uint16),
        )
        scipy.io.savemat(folder / f'labels/{name}.mat', content)
        (folder / f'frames/{name}').mkdir(parents=True)
        for t, image in enumerate(pictures(6)):
            cv2.imwrite(str(folder / f'frames/{name}/{t + 1:06d}.jpg'), image)


JOINTS = [f'{side}_{part}' for side in ('left', 'right') for part in ('hip', 'knee', 'ankle')]


def _joints(folder: Path) -> None:
    """One sequence in each layout that the converter takes."""
    folder.mkdir()
    points = np.random.default_rng(0).uniform(5, 60, (8, len(JOINTS), 2)).round(2)
    frames = [
        dict(frame=t, time=t / 10, person=0, score=1.0, box=[0, 0, 60, 60],
             keypoints=[[*map(float, point), 0.9] for point in points[t]])
        for t in range(8)
    ]  # fmt: skip
    own = dict(joints=JOINTS, fps=10.0, size=[64, 64], frames=frames)
    (folder / 'own.json').write_text(json.dumps(own))
    named = [dict(zip(JOINTS, map(list, frame))) for frame in points.tolist()]
    (folder / 'named.json').write_text(json.dumps(dict(fps=10, frames=named)))
    coco = [
        dict(image_id=t, category_id=1, score=0.9,
             keypoints=np.random.default_rng(t).uniform(1, 60, 51).round(2).tolist())
        for t in range(8)
    ]  # fmt: skip
    (folder / 'coco.json').write_text(json.dumps(coco))
    instances = [
        dict(frame_id=t, instances=[dict(keypoints=points[t].tolist(), keypoint_scores=[0.9] * 6)])
        for t in range(8)
    ]
    meta = dict(keypoint_id2name=dict(enumerate(JOINTS)))
    text = json.dumps(dict(meta_info=meta, instance_info=instances))
    (folder / 'mmpose.json').write_text(text)
    with open(folder / 'wide.csv', 'w', newline='') as file:
        rows = csv.writer(file)
        rows.writerow(['frame', 'time', *(f'{joint}_{axis}' for joint in JOINTS for axis in 'xy')])
        for t in range(8):
            rows.writerow([t, t / 10, *points[t].ravel()])
    with open(folder / 'long.csv', 'w', newline='') as file:
        rows = csv.writer(file)
        rows.writerow(['frame', 'time', 'person', 'joint', 'x', 'y', 'score'])
        rows.writerows(
            [t, t / 10, 0, joint, *point, 0.9]
            for t in range(8)
            for joint, point in zip(JOINTS, points[t])
        )
    scores = np.full((8, len(JOINTS)), 0.9)
    np.savez(
        folder / 'arrays.npz',
        keypoints=points, scores=scores, joints=JOINTS, fps=10.0, image_size=[64, 64],
    )  # fmt: skip
    header = ['', '', *(word for joint in JOINTS for word in (joint, '', ''))]
    lines = [
        ['PathFileType', '4', '(X/Y/Z)', 'own.trc'],
        ['DataRate', 'CameraRate', 'NumFrames', 'NumMarkers', 'Units', 'OrigDataRate',
         'OrigDataStartFrame', 'OrigNumFrames'],
        ['10', '10', '8', '6', 'm', '10', '1', '8'],
        ['Frame#', 'Time', *header[2:]],
        ['', '', *(f'{axis}{n}' for n in range(1, 7) for axis in 'XYZ')],
        *([str(t + 1), str(t / 10), *(f'{v}' for point in points[t] for v in (*point, 0.5))]
          for t in range(8)),
    ]  # fmt: skip
    (folder / 'markers.trc').write_text('\n'.join('\t'.join(line) for line in lines) + '\n')


def _form(folder: Path) -> None:
    """Labelled skeletons: an archive and its table, and MMAction2's file."""
    import pickle

    folder.mkdir()
    rng = np.random.default_rng(0)
    arrays = {f's{i}': rng.uniform(5, 60, (10, 17, 2)).astype(np.float32) for i in range(4)}
    np.savez(folder / 'keypoints2d.npz', **arrays)
    labels = ['deep', 'shallow'] * 2
    with open(folder / 'labels.csv', 'w', newline='') as file:
        rows = csv.writer(file)
        rows.writerow(['name', 'label', 'split', 'frames', 'width', 'height'])
        rows.writerows(
            [name, label, 'test', 10, 64, 64] for name, label in zip(arrays, labels, strict=True)
        )
    annotations = [
        dict(frame_dir=name, label=i % 2, keypoint=array[None], total_frames=10,
             keypoint_score=np.ones((1, 10, 17), np.float32), img_shape=(64, 64),
             original_shape=(64, 64))
        for i, (name, array) in enumerate(arrays.items())
    ]  # fmt: skip
    with open(folder / 'annotations.pkl', 'wb') as file:
        pickle.dump(dict(split=dict(test=list(arrays)), annotations=annotations), file)


def _runs(folder: Path) -> None:
    """An interrupted run, and what was to come of it."""
    video = folder / 'video/whole.avi'
    argv = ['infer', folder / 'model.py', folder / 'model.pth', video, '--save', *SAVED]
    argv = [*map(str, argv), '--device', 'cpu', '--out', str(folder / 'expected')]
    from rpstn.inference.run_folder import RunFolder

    complete = RunFolder.complete

    def keep(self: RunFolder, *names: Any) -> None:
        shutil.copytree(self.folder, folder / 'run/whole.incomplete')
        complete(self, *names)

    RunFolder.complete = keep  # type: ignore[method-assign]
    try:
        assert main(argv) == 0
    finally:
        RunFolder.complete = complete  # type: ignore[method-assign]
    journal = folder / 'run/whole.incomplete/journal.jsonl'
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b''.join(lines[: 1 + FRAMES // 2]))
    onnx = [*argv[:-1], str(folder / 'expected_onnx'), '--engine', 'onnx', '--exported']
    assert main([*onnx, str(folder / 'exported')]) == 0
    convert = load_tool('data/convert_skeletons')
    for path in sorted((folder / 'joints').iterdir()):
        root = folder / 'one' / path.stem
        (root / 'squat').mkdir(parents=True)
        shutil.copy(path, root / 'squat' / path.name)
        out = folder / 'expected_joints' / path.stem
        convert.main(['joints', str(root), '--out', str(out), *skeleton_of(path.name)])


def skeleton_of(name: str) -> list[str]:
    """What is told of the joints in a file of ``joints/``."""
    return ['--skeleton' if name == 'coco.json' else '--target', 'coco17']


def load_tool(name: str) -> ModuleType:
    """A script of tools/ as a module."""
    path = ROOT / f'tools/{name}.py'
    spec = importlib.util.spec_from_file_location(f'rpstn_tools_{path.stem}', path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

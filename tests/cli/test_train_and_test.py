"""tools/train.py and tools/test.py: what a user of MMPose expects of them, run for real."""

import json
import os
import pickle
import re
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from rpstn.engine.cpu import has_bfloat16

ROOT = Path(__file__).parents[2]
METRIC = 'torso_PCK@0.2/mean'


def load(path: Path) -> dict:
    return torch.load(path, map_location='cpu', weights_only=True)


def logged(work_dir: Path, key: str) -> list[float]:
    """The values of one figure over all runs in a work folder."""
    lines = [
        json.loads(line)
        for path in sorted(work_dir.glob('*/vis_data/scalars.json'))
        for line in path.read_text().splitlines()
    ]
    return [line[key] for line in lines if key in line]


def same_weights(a: dict, b: dict) -> bool:
    assert a.keys() == b.keys()
    return all(torch.equal(a[key], b[key]) for key in a)


# Training.


def test_training_logs_losses_and_the_metric_and_writes_curves(trained):
    losses = logged(trained, 'loss')
    assert len(losses) == 8 and np.mean(losses[4:]) < np.mean(losses[:4])
    figures = logged(trained, METRIC)
    assert len(figures) == 2 and all(0 <= figure <= 1 for figure in figures)
    assert list(trained.glob('*/vis_data/events.out.tfevents*'))
    log = next(trained.glob('*/*.log')).read_text()
    assert 'eta:' in log and '| torso_PCK@0.2 |' in log and 'over 21 frames' in log


def test_the_best_checkpoint_is_kept_under_the_name_of_its_metric(trained):
    best = list(trained.glob('best_*.pth'))
    assert [path.name.rsplit('_epoch_', 1)[0] for path in best] == ['best_torso_PCK@0.2_mean']
    figures = logged(trained, METRIC)
    assert best[0].stem.endswith(f'epoch_{int(np.argmax(figures)) + 1}')
    assert same_weights(
        load(best[0])['state_dict'], load(trained / f'{best[0].stem[-7:]}.pth')['state_dict']
    )


def test_training_draws_the_validation_where_asked(trained):
    for epoch in (1, 2):
        assert len(list(trained.glob(f'drawn/epoch_{epoch}/*/*.mp4'))) == 3


def test_a_repeated_run_gives_exactly_the_same(configs, tool, trained, tmp_path):
    tool('train', configs['tiny'], '--work-dir', tmp_path)
    for key in ('loss', 'loss_kpt', 'acc_pose', METRIC):
        assert logged(tmp_path, key) == logged(trained, key)
    assert same_weights(
        load(tmp_path / 'epoch_2.pth')['state_dict'], load(trained / 'epoch_2.pth')['state_dict']
    )


def test_resuming_ends_where_an_uninterrupted_run_does(configs, tool, tmp_path):
    """Random numbers in the data included, of persistent workers."""
    options = ['--no-validate', '--work-dir']
    tool('train', configs['tiny'], *options, tmp_path / 'whole')
    tool(
        'train',
        configs['tiny'],
        *options,
        tmp_path / 'parts',
        '--cfg-options',
        'train_cfg.max_epochs=1',
    )
    assert not (tmp_path / 'parts/epoch_2.pth').exists()
    tool('train', configs['tiny'], *options, tmp_path / 'parts', '--resume')
    whole, parts = (load(tmp_path / name / 'epoch_2.pth') for name in ('whole', 'parts'))
    assert whole['meta']['epoch'] == parts['meta']['epoch'] == 2
    assert whole['meta']['iter'] == parts['meta']['iter']
    assert same_weights(whole['state_dict'], parts['state_dict'])
    # 8 sequences, in twos: 4 steps an epoch, none of them taken twice.
    assert logged(tmp_path / 'parts', 'loss') == logged(tmp_path / 'whole', 'loss')
    assert len(logged(tmp_path / 'parts', 'loss')) == 8


@HOOKS.register_module(force=True)
class RecordDtypes(Hook):
    """Keeps the dtype of the last convolution's output."""

    seen: list = []

    def before_train(self, runner) -> None:
        runner.model.head.propagator.predict.register_forward_hook(
            lambda module, args, out: self.seen.append((out.dtype, module.training))
        )


def test_mixed_precision_on_the_cpu(configs, tool, tmp_path):
    RecordDtypes.seen.clear()
    if torch.cuda.is_available():
        pytest.skip('this machine has a GPU, which --amp then uses')
    if not has_bfloat16():
        pytest.skip('this processor has no bfloat16')
    config = configs['tiny'].with_name('recording.py')
    config.write_text("_base_ = 'tiny.py'\ncustom_hooks = [dict(type='RecordDtypes')]\n")
    tool(
        'train', config, '--amp', '--work-dir', tmp_path, '--cfg-options', 'train_cfg.max_epochs=1'
    )
    trainings = {dtype for dtype, training in RecordDtypes.seen if training}
    assert trainings == {torch.bfloat16}
    losses = logged(tmp_path, 'loss')
    assert len(losses) == 4 and np.isfinite(losses).all()
    state = load(tmp_path / 'epoch_1.pth')['state_dict']
    assert {v.dtype for v in state.values()} == {torch.float32, torch.int64}


# Testing.


def test_mixed_precision_is_refused_where_it_would_be_slow(configs, tool, tmp_path):
    if torch.cuda.is_available() or has_bfloat16():
        pytest.skip('it is fast here')
    with pytest.raises(SystemExit, match='leave --amp out'):
        tool('train', configs['tiny'], '--amp', '--work-dir', tmp_path / 'work')
    assert not (tmp_path / 'work').exists()


@pytest.fixture(scope='module')
def tested(configs, tool, trained, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('tested')
    tool(
        'test',
        configs['tiny'],
        trained / 'epoch_2.pth',
        '--work-dir',
        folder,
        '--show-dir',
        folder / 'drawn',
        '--dump',
        folder / 'dump.pkl',
        '--out',
        folder / 'figures.json',
    )
    return folder


def test_the_figures_are_those_of_the_validation(tested, trained):
    figures = json.loads((tested / 'figures.json').read_text())
    assert figures[METRIC] == logged(trained, METRIC)[-1]
    assert {
        'bbox_PCK@0.2/mean',
        'torso_PCK@0.2/Head',
        'torso_PCK@0.2/visible',
        'bbox_PCK@0.2/joint/left_knee',
    } <= figures.keys()


def test_the_dump_holds_every_frame_once(tested):
    with open(tested / 'dump.pkl', 'rb') as file:  # made above
        frames = pickle.load(file)
    assert len({(f['video'], f['frame_index']) for f in frames}) == len(frames) == 21
    assert all(f['pred_instances']['keypoints'].shape == (1, 13, 2) for f in frames)


def test_a_video_for_each_sequence_with_every_frame(tested):
    videos = list(tested.glob('drawn/*/*.mp4'))
    assert len(videos) == 3
    for path in videos:
        video = cv2.VideoCapture(str(path))
        assert [video.read()[0] for _ in range(8)] == [True] * 7 + [False]
    # The drawn frames are in the videos only, not in the log folder.
    assert not list(tested.glob('**/vis_image'))


def test_strided_clips_are_drawn_in_temporal_order(configs, tool, trained, tmp_path):
    """Frames 0, 2, 4, 6 come first, then 1, 3, 5; every second sequence is drawn."""
    tool(
        'test',
        configs['tiny'],
        trained / 'epoch_2.pth',
        '--work-dir',
        tmp_path,
        '--show-dir',
        tmp_path / 'drawn',
        '--interval',
        2,
        '--out',
        tmp_path / 'figures.json',
        '--cfg-options',
        'test_dataloader.dataset.frame_stride=2',
        'test_dataloader.dataset.motions=["squat"]',
        'default_hooks.visualization.kpt_thr=9',
    )
    videos = sorted(tmp_path.glob('drawn/*/*.mp4'))
    assert [path.stem for path in videos] == ['00000', '00002']
    from rpstn.simulation.clips.dataset import SyntheticClipDataset

    dataset = SyntheticClipDataset(
        num_sequences=3, num_frames=7, image_size=(64, 64), seed=1, motions=['squat']
    )
    video = cv2.VideoCapture(str(videos[1]))
    for t in range(7):  # nothing but a box is drawn
        drawn = video.read()[1].astype(float)
        errors = [np.abs(drawn - dataset.read_frame('squat/00002', i)).mean() for i in range(7)]
        assert int(np.argmin(errors)) == t


# Several processes.


def run_distributed(script: str, *arguments, cwd: Path) -> subprocess.CompletedProcess:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        'PORT': str(port),
        'PYTHON': sys.executable,
        'CUDA_VISIBLE_DEVICES': '',
        'OMP_NUM_THREADS': '1',
    }
    done = subprocess.run(
        [str(ROOT / f'tools/{script}.sh'), *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def test_two_processes_get_the_figures_of_one(configs, trained, tested, tmp_path):
    """9 clips make 11 and 10 frames: neither process's share may be cut or counted twice."""
    run_distributed(
        'dist_test',
        configs['tiny'],
        trained / 'epoch_2.pth',
        2,
        '--work-dir',
        tmp_path,
        '--out',
        tmp_path / 'figures.json',
        '--dump',
        tmp_path / 'dump.pkl',
        cwd=tmp_path,
    )
    assert json.loads((tmp_path / 'figures.json').read_text()) == json.loads(
        (tested / 'figures.json').read_text()
    )
    with open(tmp_path / 'dump.pkl', 'rb') as file:
        frames = pickle.load(file)
    assert len({(f['video'], f['frame_index']) for f in frames}) == len(frames) == 21


@pytest.mark.slow
def test_two_processes_train(configs, tmp_path):
    run_distributed(
        'dist_train',
        configs['tiny'],
        2,
        '--work-dir',
        tmp_path,
        '--cfg-options',
        'train_cfg.max_epochs=1',
        cwd=tmp_path,
    )
    # 8 sequences in batches of 2 on 2 processes: 2 steps.
    assert len(logged(tmp_path, 'loss')) == 2 and len(logged(tmp_path, METRIC)) == 1
    state = load(tmp_path / 'epoch_1.pth')
    assert state['meta']['epoch'] == 1
    assert not any(key.startswith('module.') for key in state['state_dict'])


# Other configs.


def test_the_same_tools_run_a_config_of_mmaction2(tool, tmp_path):
    """MMAction2's own ST-GCN, narrower, on skeletons that stand still or wave."""
    rng = np.random.default_rng(0)
    annotations, frames = [], np.arange(20)
    for index in range(8):
        keypoint = np.repeat(rng.uniform(50, 150, (1, 1, 17, 2)), 20, axis=1)
        keypoint[0, :, 9:11, 1] += 40 * (index % 2) * np.sin(frames)[:, None]
        annotations.append(
            dict(
                frame_dir=str(index),
                label=index % 2,
                img_shape=(200, 200),
                original_shape=(200, 200),
                total_frames=20,
                keypoint=keypoint,
                keypoint_score=np.ones((1, 20, 17)),
            )
        )
    names = [annotation['frame_dir'] for annotation in annotations]
    with open(tmp_path / 'skeletons.pkl', 'wb') as file:
        pickle.dump(
            dict(split=dict(xsub_train=names[:6], xsub_val=names[6:]), annotations=annotations),
            file,
        )
    (tmp_path / 'stgcn.py').write_text(f"""
_base_ = 'mmaction::skeleton/stgcn/stgcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-2d.py'
model = dict(backbone=dict(base_channels=8), cls_head=dict(num_classes=2, in_channels=32))
ann_file = '{tmp_path}/skeletons.pkl'
loader = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(dataset=dict(times=1, dataset=dict(ann_file=ann_file)), **loader)
val_dataloader = dict(dataset=dict(ann_file=ann_file), **loader)
test_dataloader = val_dataloader
test_evaluator = [dict(type='AccMetric', metric_options=dict(top_k_accuracy=dict(topk=(1, ))))]
val_evaluator = test_evaluator
train_cfg = dict(max_epochs=1)
randomness = dict(seed=0)
""")
    tool('train', tmp_path / 'stgcn.py', '--work-dir', tmp_path / 'work')
    assert len(logged(tmp_path / 'work', 'acc/top1')) == 1
    tool(
        'test',
        tmp_path / 'stgcn.py',
        tmp_path / 'work/epoch_1.pth',
        '--work-dir',
        tmp_path / 'work',
        '--out',
        tmp_path / 'out.json',
        '--dump',
        tmp_path / 'dump.pkl',
    )
    assert json.loads((tmp_path / 'out.json').read_text())['acc/top1'] in (0, 0.5, 1)
    with open(tmp_path / 'dump.pkl', 'rb') as file:
        assert len(pickle.load(file)) == 2
    if not (torch.cuda.is_available() or has_bfloat16()):
        pytest.skip('all but --amp is as it should be; that needs a GPU or bfloat16')
    tool('train', tmp_path / 'stgcn.py', '--amp', '--work-dir', tmp_path / 'amp')
    assert len(logged(tmp_path / 'amp', 'acc/top1')) == 1
    # It was half precision indeed: of the same seed, but rounded otherwise.
    (exact,), (half,) = (logged(tmp_path / run, 'loss') for run in ('work', 'amp'))
    assert half == pytest.approx(exact, rel=0.05) and half != exact
    assert all(
        weights.isfinite().all()
        for weights in load(tmp_path / 'amp/epoch_1.pth')['state_dict'].values()
    )


# Errors.


@pytest.mark.parametrize(
    'name, arguments, message',
    [
        ('train', ['nowhere.py'], 'nowhere.py: no such config file'),
        ('train', ['{tiny}', '--auto-scale-lr'], 'base_batch_size'),
        (
            'train',
            ['{tiny}', '--amp', '--cfg-options', 'optim_wrapper.type=ApexOptimWrapper'],
            "optim_wrapper.type='ApexOptimWrapper'",
        ),
        ('train', ['{tiny}', '--show-dir', 'x', '--launcher', 'pytorch'], 'without --launcher'),
        ('test', ['{tiny}', 'nowhere.pth'], 'nowhere.pth: no such checkpoint file'),
        ('test', ['{tiny}', '{tiny}', '--out', 'figures.txt'], 'must end in .json'),
        ('test', ['{tiny}', '{tiny}', '--dump', 'frames.json'], 'must end in .pkl'),
        ('test', ['{tiny}', 'x.pth', '--wait-time', '1'], '--wait-time is of the window'),
        ('test', ['{tiny}', 'x.pth', '--show', '--wait-time', 'nan'], 'at least 0, got nan'),
        ('test', ['{tiny}', 'x.pth', '--interval', '2'], 'need --show or --show-dir'),
        ('train', ['{tiny}', '--show-dir', 'x', '--no-validate'], '--no-validate leaves out'),
        ('train', ['{tiny}', '--resume', 'nowhere.pth'], 'nowhere.pth: no such checkpoint file'),
        (
            'train',
            ['{tiny}', '--cfg-options', 'load_from=nowhere.pth'],
            'nowhere.pth: no such checkpoint file',
        ),
    ],
)
def test_wrong_arguments_end_in_one_line(configs, tool, name, arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as error:
        tool(name, *(argument.format(**configs) for argument in arguments), '--work-dir', tmp_path)
    assert message in f'{error.value} {capsys.readouterr().err}'
    assert error.value.code != 0


@pytest.mark.parametrize(
    'option, message',
    [
        ('val_evaluator.metrics.0.type=VideoPKC', 'the training cannot be built: .*VideoPKC'),
        ('val_evaluator.metrics.0.normalizers=["head"]', "'bbox', 'torso'"),
        (
            'val_evaluator.metrics.0.normalizers=["bbox"]',
            "save_best .* among .* bbox_PCK@0.2/mean, .* got 'torso_PCK@0.2/mean'",
        ),
        ('val_evaluator.metrics.0.torso=["a","b"]', r'torso joints .* set torso= or normalizers='),
        ('model.head.num_joints=15', 'num_joints=13 and head num_joints=15'),
        (
            ['model.head.num_joints=15', 'model.backbone.num_joints=15'],
            r'model.head.num_joints must be 13, the joints of train_dataloader .*got 15',
        ),
        ('train_dataloader.dataset.motions=["dance"]', "'jumping_jack'.*'dance'"),
        ('train_dataloader.dataset.typ=x', 'the training cannot be built: TypeError.*typ'),
        ('trian_cfg.max_epochs=1', 'got trian_cfg.max_epochs; is train_cfg meant?'),
    ],
)
def test_wrong_settings_are_a_line_before_training(configs, command, option, message, tmp_path):
    options = [option] if isinstance(option, str) else option
    status, said = command(
        'train', configs['tiny'], '--work-dir', tmp_path, '--cfg-options', *options
    )
    line = said.splitlines()[-1]  # after MMEngine's log
    assert status == 1 and re.search(message, line), said
    assert 'Traceback' not in said and not list(tmp_path.glob('*.pth'))

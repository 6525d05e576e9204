"""The swap within real trainings of a toy model: a convolution, then JRE, as a head has it."""

import itertools
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmpose.registry import DATASETS, METRICS, MODELS
from torch import nn

from rpstn.pose import JRE, NonLocalRelation, RelationSequence, RelationSwapHook
from rpstn.pose.hooks.relation_swap import restore_swap

JOINTS = 4
NUMBERS = itertools.count()  # runs of one name and second would share what MMEngine keeps


class ToyHead(nn.Module):
    def __init__(self, relation) -> None:
        super().__init__()
        self.num_joints = JOINTS
        self.conv = nn.Conv2d(3, JOINTS, 3, padding=1)
        self.relation = MODELS.build({**relation, 'num_joints': JOINTS})
        self.norm = nn.BatchNorm2d(JOINTS)

    def forward(self, images):
        return self.norm(self.relation(self.conv(images)))


@MODELS.register_module(force=True)
class ToyEstimator(BaseModel):
    def __init__(self, relation=None) -> None:
        super().__init__()
        self.head = ToyHead(relation or dict(type='JRE'))

    def forward(self, images, targets=None, mode='tensor'):
        heatmaps = self.head(images)
        if mode == 'tensor':
            return heatmaps
        if mode == 'predict':
            return list(-(heatmaps - targets).square().mean((1, 2, 3)))
        return dict(loss=(heatmaps - targets).square().mean())


@DATASETS.register_module(force=True)
class ToyMaps(torch.utils.data.Dataset):
    metainfo = {}

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict:
        noise = torch.Generator().manual_seed(index)
        image = torch.randn(3, 6, 5, generator=noise)
        blurred = nn.functional.avg_pool2d(image[None], 3, 1, 1)[0]
        return dict(images=image, targets=torch.cat([blurred, blurred.sum(0, keepdim=True)]))


@METRICS.register_module(force=True)
class ToyScore(BaseMetric):
    """Minus the mean square error: rises as long as the model learns."""

    default_prefix = 'toy'

    def process(self, data_batch, data_samples) -> None:
        self.results += [float(sample) for sample in data_samples]

    def compute_metrics(self, results) -> dict:
        return dict(score=float(np.mean(results)))


class Recorder(Hook):
    """What holds before and after the swap of an epoch, and every loss and learning rate."""

    def __init__(self) -> None:
        self.images = torch.stack([ToyMaps()[index]['images'] for index in range(8)])
        self.before, self.after, self.losses, self.rates = {}, {}, [], []

    def snapshot(self, runner) -> dict:
        model = runner.model.eval()
        with torch.no_grad():
            heatmaps = model(self.images)
        optimizer = runner.optim_wrapper.optimizer
        return dict(
            heatmaps=heatmaps,
            parameters=dict(model.named_parameters()),
            buffers={p: dict(optimizer.state[p]) for p in optimizer.state},
        )

    def before_train_epoch(self, runner) -> None:
        self.after[runner.epoch] = self.snapshot(runner)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        self.losses.append(outputs['loss'].item())
        self.rates.append([group['lr'] for group in runner.optim_wrapper.optimizer.param_groups])


class Before(Hook):
    def __init__(self, recorder) -> None:
        self.recorder = recorder

    def before_train_epoch(self, runner) -> None:
        self.recorder.before[runner.epoch] = self.recorder.snapshot(runner)


def config_of(work_dir, hook: dict | None, epochs: int = 4, **options) -> Config:
    loader = dict(
        batch_size=4,
        num_workers=0,
        dataset=dict(type='ToyMaps'),
        collate_fn=dict(type='default_collate'),
    )
    return Config(
        dict(
            default_scope='mmpose',
            work_dir=str(work_dir),
            model=dict(type='ToyEstimator'),
            train_dataloader=dict(sampler=dict(type='DefaultSampler', shuffle=True), **loader),
            val_dataloader=dict(sampler=dict(type='DefaultSampler', shuffle=False), **loader),
            test_dataloader=dict(sampler=dict(type='DefaultSampler', shuffle=False), **loader),
            val_evaluator=dict(type='ToyScore'),
            test_evaluator=dict(type='ToyScore'),
            train_cfg=dict(by_epoch=True, max_epochs=epochs, val_interval=1),
            val_cfg=dict(),
            test_cfg=dict(),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-3)),
            param_scheduler=[
                dict(type='LinearLR', start_factor=0.5, end=3, by_epoch=False),
                # By default it would end with the last epoch, which tests change.
                dict(type='MultiStepLR', milestones=[1, 3], gamma=0.5, end=99),
            ],
            custom_hooks=[] if hook is None else [dict(type='RelationSwapHook', **hook)],
            randomness=dict(seed=3),
            log_level='WARNING',
            default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1)),
            env_cfg=dict(dist_cfg=dict(backend='gloo')),
        )
        | options
    )


def train(config: Config, resume: bool = False) -> tuple[Runner, Recorder]:
    config.resume = resume
    config.experiment_name = f'swap_{next(NUMBERS)}'
    runner = Runner.from_cfg(config)
    recorder = Recorder()
    runner.register_hook(Before(recorder), 'VERY_HIGH')
    runner.register_hook(recorder, 'LOWEST')
    runner.train()
    return runner, recorder


def hook_of(runner: Runner) -> RelationSwapHook:
    return next(hook for hook in runner.hooks if isinstance(hook, RelationSwapHook))


def check_optimizer(runner: Runner) -> None:
    """It holds every parameter of the model once, and state of no other."""
    optimizer = runner.optim_wrapper.optimizer
    held = [p for group in optimizer.param_groups for p in group['params']]
    parameters = list(runner.model.parameters())  # DDP's are its module's
    assert len(held) == len(parameters) and set(held) == set(parameters)
    assert set(optimizer.state) <= set(parameters)


def same(a: dict, b: dict) -> bool:
    assert a.keys() == b.keys()
    return all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize('keep', ['trainable', 'frozen', None])
def test_a_swap_at_an_epoch(keep, tmp_path):
    runner, recorder = train(config_of(tmp_path, dict(epoch=2, keep=keep)))
    before, after = recorder.before[2], recorder.after[2]
    unchanged = torch.equal(before['heatmaps'], after['heatmaps'])
    assert unchanged == (keep is not None)  # JRE had learned something, which None takes out
    for epoch in (0, 1, 3):
        assert torch.equal(recorder.before[epoch]['heatmaps'], recorder.after[epoch]['heatmaps'])
    assert hook_of(runner).swapped_at == 2
    check_optimizer(runner)
    # Momentum of whatever stays is untouched, the new block has none yet.
    assert set(after['buffers']) == set(before['buffers']) & set(after['parameters'].values())
    assert len(after['buffers']) == (10 if keep else 4)
    for parameter, state in after['buffers'].items():
        assert state['momentum_buffer'] is before['buffers'][parameter]['momentum_buffer']
    # The new block learns, and so does JRE unless it is frozen.
    relation = runner.model.head.relation
    new = relation.relations[1] if keep else relation
    assert isinstance(new, NonLocalRelation) and new.out.weight.abs().max() > 1e-4
    if keep:
        assert isinstance(relation, RelationSequence) and isinstance(relation.relations[0], JRE)
        saved = torch.load(tmp_path / 'epoch_2.pth', weights_only=True)['state_dict']
        stayed = [
            torch.equal(value, saved[f'head.relation.{name}'])
            for name, value in relation.relations[0].state_dict().items()
        ]
        assert all(stayed) if keep == 'frozen' else not any(stayed)


def test_a_swap_when_the_validation_stops_rising(tmp_path):
    """Nothing is learned with a rate of 0, so that the first score stays the best."""
    still = dict(
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.0)),
        param_scheduler=None,
        model=dict(type='ToyEstimator', relation=dict(type='JRE')),
    )
    hook = dict(patience=2, monitor='toy/score', min_delta=1e-2)
    runner, recorder = train(config_of(tmp_path, hook, epochs=5, **still))
    assert hook_of(runner).swapped_at == 3  # validated after 1, not risen after 2 and 3
    assert torch.equal(recorder.before[3]['heatmaps'], recorder.after[3]['heatmaps'])


def test_no_swap_while_the_validation_rises(tmp_path):
    runner, _ = train(config_of(tmp_path, dict(patience=1, monitor='toy/score'), epochs=3))
    assert hook_of(runner).swapped_at is None
    assert isinstance(runner.model.head.relation, JRE)


def test_schedules_go_on_as_without_a_swap(tmp_path):
    _, plain = train(config_of(tmp_path / 'plain', None))
    runner, swapped = train(config_of(tmp_path / 'swapped', dict(epoch=2)))
    assert plain.rates == swapped.rates and len(plain.rates) == 8
    assert plain.losses[:4] == swapped.losses[:4] and plain.losses[4:] != swapped.losses[4:]


def test_new_parameters_follow_the_rules_of_the_config(tmp_path):
    rules = dict(
        custom_keys={
            'relations.1': dict(lr_mult=10.0, decay_mult=0.0),
            'head.conv': dict(lr_mult=0.1),
        },
        norm_decay_mult=0.0,
    )
    wrapper = dict(optimizer=dict(type='AdamW', lr=0.01, weight_decay=0.1), paramwise_cfg=rules)
    runner, recorder = train(config_of(tmp_path, dict(epoch=2), optim_wrapper=wrapper))
    check_optimizer(runner)
    names = {p: name for name, p in runner.model.named_parameters()}
    now = 0.01 * 0.25  # both milestones are passed
    for group in runner.optim_wrapper.optimizer.param_groups:
        name = names[group['params'][0]]
        new = 'relations.1' in name
        factor = 10 if new else 0.1 if 'head.conv' in name else 1
        assert group['lr'] == pytest.approx(now * factor), name
        assert group['initial_lr'] == pytest.approx(0.01 * factor), name
        norm = 'norm' in name or 'out.1' in name
        assert group['weight_decay'] == (0.0 if new or norm else 0.1), name
    for scheduler in runner.param_schedulers:
        assert len(scheduler.base_values) == len(runner.optim_wrapper.param_groups)


@pytest.mark.parametrize(
    'hook, stop, options',
    [
        (dict(epoch=2), 1, {}),  # before the swap
        (dict(epoch=2), 2, {}),  # just before it
        (dict(epoch=2), 3, {}),
        (dict(epoch=2, keep='frozen'), 3, {}),
        (
            dict(epoch=2, keep=None),
            3,
            dict(
                optim_wrapper=dict(
                    optimizer=dict(type='Adam', lr=0.01), paramwise_cfg=dict(bias_lr_mult=2.0)
                )
            ),
        ),
        (
            dict(epoch=2),
            3,
            dict(
                optim_wrapper=dict(
                    type='CPUAmpOptimWrapper',
                    optimizer=dict(type='AdamW', lr=0.01),
                    clip_grad=dict(type='norm', max_norm=1.0),
                )
            ),
        ),
        # The score rises by less than 9 each time, so it is time after the second validation.
        (dict(patience=1, monitor='toy/score', min_delta=9.0), 2, {}),
        (dict(patience=1, monitor='toy/score', min_delta=9.0), 3, {}),
    ],
)
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(hook, stop, options, tmp_path):
    runner, whole = train(config_of(tmp_path / 'whole', hook, **options))
    first = config_of(tmp_path / 'parts', hook, epochs=stop, **options)
    _, one = train(first)
    resumed, two = train(config_of(tmp_path / 'parts', hook, **options), resume=True)
    assert hook_of(runner).swapped_at == hook_of(resumed).swapped_at == 2
    assert one.losses + two.losses == whole.losses
    assert one.rates + two.rates == whole.rates
    assert same(runner.model.state_dict(), resumed.model.state_dict())
    check_optimizer(resumed)


def test_the_averaged_model_is_swapped_too(tmp_path):
    def config(folder, epochs=4):
        made = config_of(tmp_path / folder, dict(epoch=2), epochs=epochs)
        made.custom_hooks.append(dict(type='EMAHook', momentum=0.1))
        return made

    runner, _ = train(config('whole'))
    ema = next(hook for hook in runner.hooks if type(hook).__name__ == 'EMAHook').ema_model
    new = ema.module.head.relation.relations[1].out.weight
    source = runner.model.head.relation.relations[1].out.weight
    assert 0 < new.abs().max() < source.abs().max() and not new.requires_grad
    train(config('parts', 3))
    resumed, _ = train(config('parts'), resume=True)
    paths = [tmp_path / folder / 'epoch_4.pth' for folder in ('whole', 'parts')]
    whole, parts = (torch.load(path, weights_only=True) for path in paths)
    assert same(whole['state_dict'], parts['state_dict'])
    assert same(whole['ema_state_dict'], parts['ema_state_dict'])


def test_the_same_config_tests_checkpoints_from_before_and_after(tmp_path):
    hook = dict(epoch=2)
    runner, recorder = train(config_of(tmp_path, hook))
    for epoch, swapped in ((4, True), (1, False)):
        config = config_of(tmp_path / 'test', hook)
        config.load_from = str(tmp_path / f'epoch_{epoch}.pth')
        config.experiment_name = f'swap_{next(NUMBERS)}'
        tester = Runner.from_cfg(config)
        score = tester.test()['toy/score']
        assert isinstance(tester.model.head.relation, RelationSequence) == swapped
        if swapped:
            assert score == runner.val()['toy/score']
            assert same(tester.model.state_dict(), runner.model.state_dict())


def test_weights_fit_models_without_the_hook(tmp_path):
    """By another relation in the config, and by restore_swap."""
    config = config_of(tmp_path, dict(epoch=1), epochs=2)
    runner, _ = train(config)
    saved = torch.load(tmp_path / 'epoch_2.pth', weights_only=True)
    model = ToyEstimator(
        dict(type='RelationSequence', relations=[dict(type='JRE'), dict(type='NonLocalRelation')])
    )
    model.load_state_dict(saved['state_dict'])
    other = ToyEstimator()
    assert restore_swap(other, config, saved)
    other.load_state_dict(saved['state_dict'])
    images = torch.randn(2, 3, 6, 5)
    assert torch.equal(model.eval()(images), runner.model.eval()(images))
    assert torch.equal(other.eval()(images), runner.model(images))
    early = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)
    assert not restore_swap(ToyEstimator(), config, early)
    assert not restore_swap(ToyEstimator(), Config(dict()), saved)


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(), 'needs epoch=, patience= or both'),
        (dict(epoch=-1), r'epoch >= 0.*got -1'),
        (dict(patience=0), r'patience >= 1.*got None, 0'),
        (dict(epoch=1, keep='all'), r"'trainable', 'frozen', None.*'all'"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        RelationSwapHook(**options)


@pytest.mark.parametrize(
    'hook, options, message',
    [
        (dict(epoch=1, path='head.relations'), {}, "ToyEstimator.*'head.relations'"),
        (
            dict(patience=1),
            dict(val_cfg=None, val_dataloader=None, val_evaluator=None),
            'waits for validations',
        ),
        (dict(patience=1), {}, r"no 'torso_PCK@0.2/mean'.*toy/score"),
        (dict(epoch=1), dict(train_cfg=dict(by_epoch=False, max_iters=4)), 'IterBasedTrainLoop'),
        (
            dict(epoch=1, relation=dict(type='NonLocalRelation', num_joints=1)),
            {},
            '2 or more, got 1',
        ),
    ],
)
def test_what_cannot_work_is_refused(hook, options, message, tmp_path):
    config = config_of(tmp_path, hook, epochs=2, param_scheduler=None)
    config.pop('train_cfg' if 'train_cfg' in options else '', None)
    for key, value in options.items():
        config[key] = value
    with pytest.raises(ValueError, match=message):
        train(config)


def test_a_checkpoint_of_another_swap_is_refused(tmp_path):
    train(config_of(tmp_path, dict(epoch=1), epochs=2))
    with pytest.raises(ValueError, match='keep=trainable, this .* keep=None'):
        train(config_of(tmp_path, dict(epoch=1, keep=None)), resume=True)
    runner, _ = train(config_of(tmp_path / 'other', dict(epoch=0), epochs=1))
    early = tmp_path / 'epoch_1.pth'
    with pytest.raises(ValueError, match='from before head.relation was swapped'):
        runner.load_checkpoint(str(early))


DISTRIBUTED = """
import sys
sys.path.insert(0, {folder!r})
import rpstn
import torch, torch.distributed as dist
from test_relation_swap import check_optimizer, config_of, train
dist.init_process_group('gloo')
wrapper = dict(type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False)
def config(name, epochs):
    made = config_of({tmp!r} + '/' + name, dict(epoch=1), epochs, model_wrapper_cfg=wrapper)
    made.launcher = 'pytorch'
    return made
def run(name, epochs, resume=False):
    return train(config(name, epochs), resume)[0]
whole = run('whole', 3)
module = whole.model.module
assert type(whole.model).__name__ == 'MMDistributedDataParallel'
check_optimizer(whole)
assert module.head.relation.relations[1].out.weight.abs().max() > 1e-4
for name, parameter in module.named_parameters():
    both = [torch.zeros_like(parameter) for _ in range(2)]
    dist.all_gather(both, parameter.detach())
    assert torch.equal(*both), name
run('parts', 2)
resumed = run('parts', 3, resume=True)
for (name, a), b in zip(module.named_parameters(), resumed.model.module.parameters()):
    assert torch.equal(a, b), name
"""


@pytest.mark.slow
def test_two_processes_stay_alike_and_resume(tmp_path):
    """Gradients of parameters that DDP had not known would differ: each process sees other data."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    script = tmp_path / 'run.py'
    script.write_text(DISTRIBUTED.format(folder=str(Path(__file__).parent), tmp=str(tmp_path)))
    environment = {
        **os.environ,
        'MASTER_ADDR': '127.0.0.1',
        'MASTER_PORT': str(port),
        'WORLD_SIZE': '2',
        'OMP_NUM_THREADS': '1',
        'CUDA_VISIBLE_DEVICES': '',
        'PYTHONPATH': str(Path(__file__).parents[3]),
    }
    processes = [
        subprocess.Popen(
            [sys.executable, str(script)],
            stderr=subprocess.PIPE,
            text=True,
            env={**environment, 'RANK': str(rank), 'LOCAL_RANK': str(rank)},
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=240)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors[0][-3000:]

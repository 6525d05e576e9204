"""The stack works where it is broken, and is left alone where it is not."""

import json
import zipfile

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.model import BaseModel
from mmengine.runner import CheckpointLoader, Runner

from rpstn import compat

# Importing the stack takes seconds: one interpreter each for a bare and a healthy installation
# looks at everything and prints it as JSON.
LOOK = """
import importlib, inspect, json, sys, warnings

facts = {}
with warnings.catch_warnings(record=True) as caught:
    import rpstn
    for name in ('mmpose.models', 'mmpose.apis', 'mmaction.models', 'mmaction.apis'):
        importlib.import_module(name)
    facts['warnings'] = [str(w.message) for w in caught]

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mmaction.models.localizers import DRN
from mmaction.utils import dependency
from mmengine.optim.optimizer import amp_optimizer_wrapper
from mmengine.utils import get_installed_path, is_installed
from mmpose.apis.inferencers import base_mmpose_inferencer
from mmpose.models.heads.hybrid_heads import dekr_head, rtmo_head
from mmpose.models.heads.transformer_heads import edpose_head
from mmpose.models.heads.transformer_heads.transformers import deformable_detr_layers
from mmpose.models.utils import misc
from mmpose.visualization import simcc_vis
from rpstn import compat

def answer(function, *args):
    try:
        return repr(function(*args))
    except Exception as error:
        return f'{type(error).__name__}: {error}'

used = dict(
    attention=deformable_detr_layers.MultiScaleDeformableAttention,
    same_attention=edpose_head.MultiScaleDeformableAttention,
    reduce_mean=rtmo_head.reduce_mean,
    to_pil=simcc_vis.ToPILImage,
    drn=DRN,
    distribution=dependency.distribution,
)
facts['origin'] = {name: thing.__module__ for name, thing in used.items()}
facts['used'] = {name: answer(thing, 1) for name, thing in used.items()}
facts['lookup'] = {name: answer(importlib.import_module, name) for name in (
    'mmcv.ops', 'mmdet', 'mmdet.utils', 'torchvision', 'six', 'importlib_metadata',
    'mmaction.models.localizers.drn.drn')}
facts['guards'] = [dekr_head.has_mmcv_full, base_mmpose_inferencer.has_mmdet]
facts['multi_apply'] = misc.multi_apply(lambda a, b: (a + b, a * b), [1, 2], [3, 4])
facts['installed'] = {n: is_installed(n) for n in ('mmpose', 'mmaction2', 'mmcv', 'no-such')}
facts['paths'] = {n: answer(get_installed_path, n) for n in ('mmpose', 'mmaction2', 'no-such')}
facts['package_utils'] = is_installed.__module__
facts['pkg_resources'] = 'pkg_resources' in sys.modules
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter('always')
    amp_optimizer_wrapper.GradScaler(enabled=False)
    facts['scaler'] = [str(w.message) for w in caught]
canvas = FigureCanvasAgg(Figure((2, 1), 50, facecolor=(1, 0, .2)))
canvas.draw()
facts['canvas'] = list(canvas.tostring_rgb()[:6]), len(canvas.tostring_rgb())
facts['source'] = 'class SimCCVisualizer' in inspect.getsource(simcc_vis)
before = list(sys.meta_path)
compat.apply()
facts['again'] = sys.meta_path == before
facts['applied'] = {patch.name: patch.applied for patch in compat.patches()}
print(json.dumps(facts))
"""

DROP_RGB = """
from matplotlib.backends.backend_agg import FigureCanvasAgg
vars(FigureCanvasAgg).get('tostring_rgb') and delattr(FigureCanvasAgg, 'tostring_rgb')
"""

# dateutil asks for six up to version 2; of all others it is hidden.
DROP_SIX = """
import dateutil.parser
import dateutil.rrule
import dateutil.tz

for name in [name for name in sys.modules if name.partition('.')[0] == 'six']:
    del sys.modules[name]
sys.meta_path[:] = [one for one in sys.meta_path if type(one).__module__ != 'six']
hidden += ('six',)
"""


def look(process):
    assert process.returncode == 0, process.stderr[-3000:]
    return json.loads(process.stdout.splitlines()[-1])


@pytest.fixture(scope='module')
def bare(run_python):
    """A stack that lacks everything that it can lack."""
    hidden = (
        'mmcv._ext',
        'mmdet',
        'torchvision',
        'importlib_metadata',
        'pkg_resources',
        'mmaction.models.localizers.drn',
    )
    return look(run_python(DROP_RGB + DROP_SIX + LOOK, hidden))


@pytest.fixture(scope='module')
def healthy(run_python, tmp_path_factory):
    """A stack that has everything: packages made up here, but where the real ones would be."""
    root = tmp_path_factory.mktemp('site')
    files = {
        'mmdet/__init__.py': '',
        'mmdet/utils.py': 'ConfigType = dict\ndef reduce_mean(x): return x',
        'torchvision/__init__.py': '',
        'torchvision/transforms.py': 'class ToPILImage:\n  def __init__(self, mode=0): ...',
        'importlib_metadata.py': 'from importlib.metadata import PackageNotFoundError\n'
        'def distribution(name): raise PackageNotFoundError(name)',
        'pkg_resources.py': 'class DistributionNotFound(Exception): ...\n'
        'class Found:\n  location = "/somewhere"\n'
        '  has_metadata = lambda self, name: True\n'
        '  get_metadata = lambda self, name: "there"\n'
        'def get_distribution(name):\n'
        '  if name == "no-such": raise DistributionNotFound\n'
        '  return Found()',
        'setuptools-80.8.dist-info/METADATA': 'Name: setuptools\nVersion: 80.8',
        'full/_ext.py': '',
        'full/ops/__init__.py': 'from .multi_scale_deform_attn import *\nclass DeformConv2d: ...',
        'full/ops/multi_scale_deform_attn.py': 'class MultiScaleDeformableAttention:\n'
        '  def __init__(self, dims): ...',
        'localizers/drn/__init__.py': '',
        'localizers/drn/drn.py': 'class DRN:\n  def __init__(self, dims): ...',
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    # Inside mmcv and mmaction the made up modules come first on the package's own path.
    place = f"""
import mmcv
mmcv.__path__.insert(0, {str(root / 'full')!r})
from importlib.machinery import PathFinder
class Localizers:
    def find_spec(self, name, path=None, target=None):
        if name == 'mmaction.models.localizers.drn':
            return PathFinder.find_spec(name, [{str(root / 'localizers')!r}])
sys.meta_path.insert(0, Localizers())
from matplotlib.backends.backend_agg import FigureCanvasAgg
FigureCanvasAgg.tostring_rgb = lambda self: b'theirs'
"""
    return look(run_python(place + LOOK, path=[root]))


def test_bare_stack_imports_without_warnings(bare):
    assert bare['warnings'] == []
    needed = {name for name, applied in bare['applied'].items() if applied}
    assert needed == {patch.name for patch in compat.patches()}


@pytest.mark.parametrize(
    ('thing', 'name', 'package'),
    [
        ('attention', 'mmcv.ops.MultiScaleDeformableAttention', 'mmcv==2.1.0'),
        ('same_attention', 'mmcv.ops.MultiScaleDeformableAttention', 'mmcv==2.1.0'),
        ('reduce_mean', 'mmdet.utils.reduce_mean', 'mmdet=='),
        ('to_pil', 'torchvision.transforms.ToPILImage', 'torchvision'),
        ('drn', 'mmaction.models.localizers.drn.drn.DRN', 'mmaction2'),
    ],
)
def test_missing_parts_name_the_package_when_used(bare, thing, name, package):
    message = bare['used'][thing]
    assert message.startswith('ImportError') and name in message and package in message


def test_stand_ins_are_seen_by_nobody_else(bare):
    assert all(text.startswith('ModuleNotFoundError') for text in bare['lookup'].values())
    assert bare['guards'] == [False, False]
    assert bare['source'], 'a patched module must still show its source'
    assert bare['again'], 'applying the patches again must not add anything'


def test_stand_ins_that_need_nothing_work(bare):
    assert bare['multi_apply'] == [[4, 6], [3, 8]]
    assert bare['origin']['distribution'] == 'importlib.metadata'
    assert bare['canvas'] == [[255, 0, 51] * 2, 100 * 50 * 3]
    assert bare['scaler'] == []


def test_installed_packages_are_found_without_pkg_resources(bare):
    assert bare['installed'] == {'mmpose': True, 'mmaction2': True, 'mmcv': True, 'no-such': False}
    assert bare['paths']['mmpose'].endswith("mmpose'")
    assert bare['paths']['mmaction2'].endswith("mmaction'")
    assert bare['paths']['no-such'].startswith('PackageNotFoundError')
    assert not bare['pkg_resources']


def test_healthy_packages_are_left_alone(healthy):
    assert healthy['origin'] == {
        'attention': 'mmcv.ops.multi_scale_deform_attn',
        'same_attention': 'mmcv.ops.multi_scale_deform_attn',
        'reduce_mean': 'mmdet.utils',
        'to_pil': 'torchvision.transforms',
        'drn': 'mmaction.models.localizers.drn.drn',
        'distribution': 'importlib_metadata',
    }
    assert healthy['guards'][0], 'MMPose must find DeformConv2d of a full mmcv'
    assert not any(text.startswith('ModuleNotFoundError') for text in healthy['lookup'].values())
    assert healthy['package_utils'] == 'mmengine.utils.package_utils'
    assert healthy['paths']['mmpose'] == "'/somewhere/there'"
    assert healthy['canvas'] == [list(b'theirs'), len('theirs')]
    assert [name for name, applied in healthy['applied'].items() if applied] == [
        'torch.load of MMEngine checkpoints',
        'torch.hub in MMEngine',
        'torch.cuda.amp.GradScaler',
        'mmengine.fileio',
        'mmengine.hooks.CheckpointHook',
    ]


def test_modules_imported_before_are_mended_as_well(run_python):
    process = run_python(
        """
from mmengine.utils import is_installed
import rpstn
assert is_installed('mmengine') and not is_installed('no-such')
assert 'mmpose' not in sys.modules, 'the patches themselves must not import the stack'
""",
        hidden=['pkg_resources'],
    )
    assert process.returncode == 0, process.stderr


class Line(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs, mode='loss'):
        return {'loss': (self.weight - inputs).square().mean()}


@pytest.fixture
def train(tmp_path):
    """Trains for some iterations in all, going on from the last checkpoint where there is one."""

    def train(iterations):
        runner = Runner(
            Line(),
            work_dir=str(tmp_path),
            train_dataloader=dict(
                dataset=[torch.ones(1)] * 4,
                batch_size=1,
                sampler=dict(type='DefaultSampler', shuffle=False),
            ),
            train_cfg=dict(by_epoch=False, max_iters=iterations),
            optim_wrapper=dict(optimizer=dict(type='Adam', lr=0.1)),
            param_scheduler=dict(type='MultiStepLR', by_epoch=False, milestones=[1]),
            default_hooks=dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2)),
            resume=True,
            experiment_name=f'{tmp_path.name}_{iterations}',
            log_level='ERROR',
        )
        runner.message_hub.update_info('best', np.float64(iterations))
        runner.message_hub.update_info('seen', np.arange(iterations))
        runner.train()
        return runner

    return train


def test_training_is_resumed_with_safe_loading(train, tmp_path):
    train(2)
    runner = train(4)
    assert runner.iter == 4
    losses, _ = MessageHub.get_current_instance().log_scalars['train/loss'].data
    assert len(losses) == 4 and losses[0] == 1, 'the history of before must be there'
    loaded = torch.load(tmp_path / 'iter_2.pth', weights_only=True)
    scalars = loaded['message_hub']['log_scalars']
    assert isinstance(scalars['train/loss'], HistoryBuffer) and scalars['train/loss'].mean() > 0

    allowed = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        with pytest.raises(Exception, match='Weights only load failed'):
            torch.load(tmp_path / 'iter_2.pth')
    finally:
        torch.serialization.add_safe_globals(allowed)


def test_checkpoints_of_either_numpy_load(tmp_path):
    values = {
        'a': np.float64(1.5),
        'b': np.arange(3),
        'c': np.ones((2, 2), np.float32),
        'd': np.array([True]),
        'e': np.int64(7),
    }
    torch.save(values, tmp_path / 'here.pth')
    with (
        zipfile.ZipFile(tmp_path / 'here.pth') as source,
        zipfile.ZipFile(tmp_path / 'there.pth', 'w') as target,
    ):
        for name in source.namelist():
            data = source.read(name)
            here, there = b'cnumpy.core.', b'cnumpy._core.'
            target.writestr(
                name, data.replace(there, here) if there in data else data.replace(here, there)
            )
    for file in ('here.pth', 'there.pth'):
        loaded = torch.load(tmp_path / file)
        for key, value in values.items():
            assert type(loaded[key]) is type(value)
            np.testing.assert_array_equal(loaded[key], value)


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    'value',
    [
        Call(print, 'executed'),
        Call(getattr, HistoryBuffer, '__init__'),
        Call(getattr, HistoryBuffer, '__globals__'),
        Call(getattr, np.ndarray, 'mean'),
        Line,
    ],
    ids=['print', '__init__', '__globals__', 'ndarray', 'unknown class'],
)
def test_anything_else_in_a_checkpoint_is_refused(value, tmp_path, capsys):
    torch.save({'value': value}, tmp_path / 'bad.pth')
    with pytest.raises(Exception, match='Weights only load failed|not allowed'):
        torch.load(tmp_path / 'bad.pth')
    assert 'executed' not in capsys.readouterr().out


def test_nor_in_one_that_was_downloaded(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))  # where what was downloaded once is taken from
    downloads = tmp_path / 'hub/checkpoints'
    downloads.mkdir(parents=True)
    torch.save({'value': Call(print, 'executed')}, downloads / 'bad.pth')
    torch.save({'value': torch.ones(2)}, downloads / 'good.pth')
    with pytest.raises(Exception, match='Weights only load failed'):
        CheckpointLoader.load_checkpoint('https://example.com/bad.pth', 'cpu')
    assert 'executed' not in capsys.readouterr().out
    loaded = CheckpointLoader.load_checkpoint('https://example.com/good.pth', 'cpu')
    assert loaded['value'].tolist() == [1, 1]

"""Makes the stack work and registers all components before any test module imports MMPose."""

import contextlib
import importlib.util
import io
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from rpstn.cli.main import VERBS, main  # first: rpstn makes the OpenMMLab stack work

from mmengine.registry import DefaultScope  # isort: skip

ROOT = Path(__file__).parents[1]

# Makes modules and distributions look as if they were not installed: unlike an import that raises,
# finders then find nothing, as it is where they really are missing.
HIDE = """
import sys
hidden = {hidden!r}
class Finder:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        if any(name == h or name.startswith(h + '.') for h in hidden):
            return None
        return self.finder.find_spec(name, path, target)
    def find_distributions(self, *args):
        found = getattr(self.finder, 'find_distributions', lambda *args: [])(*args)
        return [d for d in found if d.metadata['Name'] not in hidden]
sys.meta_path[:] = map(Finder, sys.meta_path)
"""


@pytest.fixture(autouse=True)
def no_default_scope():
    """Each test starts without a default scope, whichever package the one before it was about."""
    DefaultScope._instance_dict.clear()
    yield
    DefaultScope._instance_dict.clear()


@pytest.fixture(scope='session')
def run_python() -> Callable[..., subprocess.CompletedProcess]:
    """Runs code in a new interpreter: ``run_python(code, hidden=(), path=())``.

    ``hidden`` names modules and distributions that it shall not find, ``path`` folders that it
    shall search before all others.
    """

    def run(
        code: str, hidden: Sequence[str] = (), path: Sequence[Path] = ()
    ) -> subprocess.CompletedProcess:
        search = os.pathsep.join(map(str, [*path, ROOT]))
        return subprocess.run(
            [sys.executable, '-c', HIDE.format(hidden=tuple(hidden)) + code],
            env={**os.environ, 'PYTHONPATH': search, 'COLUMNS': '200'},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


# 64x64 input, 16x16 heatmaps, T = 3; as the configs are, otherwise.
TINY = f"""
_base_ = ['{ROOT}/configs/_base_/default_runtime.py', '{ROOT}/configs/_base_/rpstn.py']

codec = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1)
model = dict(
    backbone=dict(
        num_joints=13, channels=16, input_size=(64, 64),
        encoder=dict(depth=18, stem_channels=8, base_channels=8, init_cfg=None)),
    head=dict(num_joints=13, channels=16, decoder=codec))

common = [dict(type='LoadClip'), dict(type='ClipBBox')]
train_pipeline = common + [
    dict(type='ForEachFrame', transforms=[
        dict(type='RandomFlip', direction='horizontal'),
        dict(type='RandomBBoxTransform', shift_prob=0., rotate_factor=40.),
        dict(type='TopdownAffine', input_size=(64, 64)),
        dict(type='GenerateTarget', encoder=codec)]),
    dict(type='PackClipInputs')]
val_pipeline = common + [
    dict(type='ForEachFrame', transforms=[dict(type='TopdownAffine', input_size=(64, 64))]),
    dict(type='PackClipInputs')]
data = dict(type='SyntheticClipDataset', num_frames=7, image_size=(64, 64), clip_len=3)
train_dataloader = dict(
    batch_size=2, num_workers=1,
    dataset=dict(num_sequences=8, seed=0, pipeline=train_pipeline, **data))
# 3 sequences of 7 frames: 9 clips, every third with 2 padded frames.
val_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    dataset=dict(num_sequences=3, seed=1, pipeline=val_pipeline, **data))
test_dataloader = val_dataloader

train_cfg = dict(max_epochs=2, val_interval=1)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
default_hooks = dict(logger=dict(interval=1))
"""
# Without random numbers in the data.
FIXED = """
_base_ = 'tiny.py'
fixed = [
    dict(type='LoadClip'), dict(type='ClipBBox'),
    dict(type='ForEachFrame', transforms=[
        dict(type='TopdownAffine', input_size=(64, 64)),
        dict(type='GenerateTarget', encoder={{_base_.codec}})]),
    dict(type='PackClipInputs')]
train_dataloader = dict(
    num_workers=0, persistent_workers=False, dataset=dict(start='fixed', pipeline=fixed))
"""


@pytest.fixture(scope='session')
def configs(tmp_path_factory) -> dict[str, Path]:
    """Config files by name."""
    folder = tmp_path_factory.mktemp('configs')
    for name, text in dict(tiny=TINY, fixed=FIXED).items():
        (folder / f'{name}.py').write_text(text)
    return {name: folder / f'{name}.py' for name in ('tiny', 'fixed')}


@pytest.fixture(scope='session')
def command() -> Callable[..., tuple[int, str]]:
    """``command('infer', *words)`` runs `rpstn` in this process: status, and what it complains."""

    def run(verb: str, *words) -> tuple[int, str]:
        said = io.StringIO()
        environment = dict(os.environ)
        try:
            with contextlib.redirect_stderr(said):
                status = main([verb, *map(str, words)])
        finally:
            os.environ.clear()
            os.environ.update(environment)
            sys.stderr.write(said.getvalue())
        return status, said.getvalue().strip()

    return run


@pytest.fixture(scope='session')
def tool(command) -> Callable[..., None]:
    """``tool('ablate', *arguments)`` runs a script of tools/, or a verb, in this process."""

    def run(name: str, *arguments) -> None:
        if name in VERBS:
            status, message = command(name, *arguments)
            if status:
                raise SystemExit(message)
            return
        (path,) = (ROOT / 'tools').rglob(f'{name}.py')
        spec = importlib.util.spec_from_file_location(f'rpstn_tools_{name}', path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        argv, environment = sys.argv, dict(os.environ)
        sys.argv = [str(path), *map(str, arguments)]
        try:
            module.main()
        finally:
            sys.argv = argv
            os.environ.clear()
            os.environ.update(environment)

    return run


@pytest.fixture(scope='session')
def trained(configs, tool, tmp_path_factory) -> Path:
    """The work folder of two epochs of the tiny config."""
    work_dir = tmp_path_factory.mktemp('trained')
    tool('train', configs['tiny'], '--work-dir', work_dir, '--show-dir', work_dir / 'drawn')
    return work_dir

"""tools/data/convert_checkpoint.py, and what can be done with the files it writes."""

import importlib.util
import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from rpstn.pose.models.released import released_name

ROOT = Path(__file__).parents[3]
PARITY = ROOT.parent / 'shared/parity'
CASE = 'penn_r18_r18'


def random_release(joints: int) -> dict[str, torch.Tensor]:
    """A state dict with the release's names and the shapes of ResNet-18 for P and F."""
    name = {13: 'penn', 15: 'jhmdb'}[joints]
    init_default_scope('mmpose')
    cfg = Config.fromfile(ROOT / f'configs/released_{name}.py')
    cfg.merge_from_dict(
        {'model.backbone.encoder.depth': 18, 'model.backbone.initializer.depth': 18}
    )
    torch.manual_seed(0)
    state = MODELS.build(cfg.model).state_dict()
    release = {released_name(name): value for name, value in state.items()}
    for part in ('theta', 'phi'):
        release[f'non_local_conv2d.{part}.weight'] = torch.zeros(joints, joints, 1, 1)
        release[f'non_local_conv2d.{part}.bias'] = torch.zeros(joints)
    return release


@pytest.fixture(scope='module')
def fill_weights():
    """The module that makes the parity case's weights and input."""
    if not PARITY.is_dir():
        pytest.skip(f'{PARITY} is absent: what the released network answers')
    spec = importlib.util.spec_from_file_location('fill_weights', PARITY / 'fill_weights.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def jhmdb(tool, tmp_path_factory) -> Path:
    """OUT.pth of a random release with JHMDB's joints."""
    folder = tmp_path_factory.mktemp('jhmdb')
    torch.save(random_release(15), folder / 'released.pth')
    tool('convert_checkpoint', folder / 'released.pth', folder / 'out.pth')
    return folder / 'out.pth'


def heatmaps(out: Path, clip: torch.Tensor) -> torch.Tensor:
    """Of the model of OUT.py with the weights of OUT.pth."""
    init_default_scope('mmpose')
    model = MODELS.build(Config.fromfile(out.with_suffix('.py')).model)
    model.load_state_dict(torch.load(out, weights_only=True)['state_dict'], strict=True)
    with torch.inference_mode():
        return model.eval()(clip, None, mode='tensor')


def test_it_answers_as_the_released_network(fill_weights, tool, tmp_path, capsys):
    state = fill_weights.released_state_dict(CASE)
    torch.save(state, tmp_path / 'bare.pth')
    torch.save(
        dict(epoch=7, state_dict={f'module.{k}': v for k, v in state.items()}),
        tmp_path / 'parallel.pth',
    )
    tool('convert_checkpoint', tmp_path / 'bare.pth', tmp_path / 'a.pth')
    tool('convert_checkpoint', tmp_path / 'parallel.pth', tmp_path / 'b' / 'b.pth')
    # Weights the network does not use are named, as they are not in the result.
    said = capsys.readouterr().out
    assert said.count('P ResNet-18, F ResNet-18, 13 joints, variant penn') == 2
    assert 'non_local_conv2d.theta.weight' in said and 'non_local_conv2d.phi.bias' in said
    a, b = (
        torch.load(tmp_path / name, weights_only=True)['state_dict']
        for name in ('a.pth', 'b/b.pth')
    )
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    difference = (
        (heatmaps(tmp_path / 'a.pth', fill_weights.clip()) - fill_weights.expected(CASE))
        .abs()
        .max()
        .item()
    )
    print(f'greatest difference of any heatmap value: {difference:.1e}')
    assert difference < 1e-4


def test_the_config_states_what_the_release_does_otherwise(jhmdb):
    cfg = Config.fromfile(jhmdb.with_suffix('.py'))
    head = cfg.model.head
    assert head.norms == 'shared' and head.relation == dict(type='JRE', layout='released')
    assert head.propagator == dict(type='JRPSP', norms='shared', norm_filtered=True)
    assert (
        cfg.model.backbone.encoder
        == cfg.model.backbone.initializer
        == dict(type='ResNet', depth=18, init_cfg=None)
    )  # nothing is downloaded
    assert str(ROOT) not in jhmdb.with_suffix('.py').read_text()  # it can be taken elsewhere
    assert sorted(path.name for path in jhmdb.parent.iterdir()) == [
        'out.pth',
        'out.py',
        'released.pth',
    ]


def test_the_input_is_rgb_from_0_to_1(jhmdb):
    init_default_scope('mmpose')
    model = MODELS.build(Config.fromfile(jhmdb.with_suffix('.py')).model)
    blue = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    blue[:, 0] = 255  # as OpenCV reads it
    data = model.data_preprocessor(dict(inputs=[blue], data_samples=[]))
    assert data['inputs'][0, 0, :, 0, 0].tolist() == [0, 0, 1]


def test_the_other_tools_run_with_it(jhmdb, tool, tmp_path):
    (tmp_path / 'small.py').write_text(f"""
_base_ = '{jhmdb.with_suffix('.py')}'
test_dataloader = dict(
    num_workers=0, persistent_workers=False, batch_size=1,
    dataset=dict(_delete_=True, type='SyntheticClipDataset', joints='jhmdb15', num_sequences=1,
                 num_frames=2, image_size=(64, 64), clip_len=2, test_mode=True,
                 pipeline={{{{_base_.val_pipeline}}}}))
""")
    tool(
        'test',
        tmp_path / 'small.py',
        jhmdb,
        '--work-dir',
        tmp_path / 'work',
        '--out',
        tmp_path / 'figures.json',
    )
    figures = json.loads((tmp_path / 'figures.json').read_text())
    assert 0 <= figures['bbox_PCK@0.2/mean'] <= 1
    cv2.imwrite(str(tmp_path / 'person.png'), np.full((60, 40, 3), 90, np.uint8))
    tool(
        'infer',
        jhmdb.with_suffix('.py'),
        jhmdb,
        tmp_path / 'person.png',
        '--out',
        tmp_path / 'drawn',
    )
    found = json.loads((tmp_path / 'drawn/person.json').read_text())
    assert len(found['frames'][0]['keypoints']) == 15 and found['joints'][0] == 'neck'


def test_the_variant_can_be_given(tool, tmp_path, capsys):
    torch.save(random_release(15), tmp_path / 'released.pth')
    tool('convert_checkpoint', tmp_path / 'released.pth', tmp_path / 'out.pth', '--variant', 'penn')
    assert '15 joints, variant penn' in capsys.readouterr().out
    cfg = Config.fromfile(tmp_path / 'out.py')
    assert cfg.model.head.propagator.norm_filtered is False
    assert cfg.test_dataloader.dataset.type == 'JHMDBClipDataset'


class Harmful:
    def __reduce__(self):
        return (pytest.fail, ('it was executed',))


def write_text(path: Path) -> None:
    path.write_text('no checkpoint')


def write_truncated(path: Path) -> None:
    torch.save(dict(a=torch.zeros(1000)), path)
    path.write_bytes(path.read_bytes()[:700])


def write_harmful(path: Path) -> None:
    path.write_bytes(pickle.dumps(Harmful(), protocol=2))


def write_other(path: Path) -> None:
    torch.save(dict(state_dict=torch.nn.Linear(2, 2).state_dict()), path)


def write_nothing(path: Path) -> None:
    pass


def write_incomplete(path: Path) -> None:
    torch.save({k: v for k, v in random_release(13).items() if k != 'bn.bias'}, path)


@pytest.mark.parametrize(
    'write,reason',
    [
        (write_nothing, 'no such checkpoint file'),
        (write_text, 'damaged, or not a checkpoint'),
        (write_truncated, 'damaged, or not a checkpoint'),
        (write_harmful, 'loaded safely'),
        (write_other, 'pose_net.final_layer.weight is missing'),
        (write_incomplete, '1 missing: bn.bias'),
    ],
)
def test_a_refused_file_is_named_in_one_line_and_nothing_is_written(tool, tmp_path, write, reason):
    path = tmp_path / 'released.pth'
    write(path)
    with pytest.raises(SystemExit) as caught:
        tool('convert_checkpoint', path, tmp_path / 'out' / 'out.pth')
    message = caught.value.code  # a text: exit status 1
    assert isinstance(message, str) and '\n' not in message
    assert str(path) in message and reason in message
    assert not (tmp_path / 'out').exists()


def test_neither_the_input_nor_a_config_of_the_users_is_overwritten(tool, tmp_path):
    (tmp_path / 'released.pth').write_bytes(b'precious')
    with pytest.raises(SystemExit, match='would overwrite the input'):
        tool('convert_checkpoint', tmp_path / 'released.pth', tmp_path / 'released.pth')
    (tmp_path / 'out.py').write_text('mine = 1')
    with pytest.raises(SystemExit, match=r'out.py: exists, and is not of this tool'):
        tool('convert_checkpoint', tmp_path / 'released.pth', tmp_path / 'out.pth')
    with pytest.raises(SystemExit) as caught:
        tool('convert_checkpoint', tmp_path / 'released.pth', tmp_path / 'out.txt')
    assert caught.value.code == 2
    assert (tmp_path / 'out.py').read_text() == 'mine = 1'
    assert (tmp_path / 'released.pth').read_bytes() == b'precious'

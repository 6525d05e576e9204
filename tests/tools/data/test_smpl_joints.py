"""tools/data/smpl_joints.py on a model and motions that the test writes."""

from __future__ import annotations

import importlib.util
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from rpstn.lift import SMPLJoints, read_smpl_parameters
from rpstn.skeletons import SKELETONS

pytest.importorskip('smplx', reason='smplx is not installed')

TOOL = Path(__file__).parents[3] / 'tools/data/smpl_joints.py'


@pytest.fixture(scope='module')
def model_file(tmp_path_factory) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp('model') / 'model.npz'
    np.savez(
        path,
        v_template=rng.normal(size=(30, 3)),
        shapedirs=rng.normal(size=(30, 3, 10)),
        posedirs=rng.normal(size=(30, 3, 207)),
        J_regressor=rng.random((24, 30)) / 15,
        weights=rng.dirichlet(np.ones(24), 30),
        f=np.zeros((1, 3), int),
        kintree_table=np.array([SKELETONS['smpl24'].parents, range(24)]),
    )
    return path


@pytest.fixture
def motions(tmp_path) -> Path:
    """Two sequences; 'file' is a name that numpy.savez could not give an array."""
    rng = np.random.default_rng(1)
    folder = tmp_path / 'motions'
    (folder / 'below').mkdir(parents=True)
    np.savez(
        folder / 'file.npz',
        poses=rng.normal(size=(6, 156)),
        trans=rng.normal(size=(6, 3)),
        betas=rng.normal(size=16),
    )
    (folder / 'below' / 'b.pkl').write_bytes(
        pickle.dumps(
            dict(
                pose=rng.normal(size=(3, 72)), betas=rng.normal(size=(3, 4)), trans=np.ones((3, 3))
            )
        )
    )
    return folder


@pytest.fixture
def run(monkeypatch, capsys):
    """Exit status, stdout and stderr of the tool."""
    spec = importlib.util.spec_from_file_location('rpstn_tools_smpl_joints', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, 'argv', [str(TOOL), *map(str, arguments)])
        status = module.main()
        return status, *capsys.readouterr()

    return run


def test_writes_one_array_for_each_file(run, motions, model_file, tmp_path):
    out = tmp_path / 'new' / 'joints.npz'
    status, printed, errors = run(
        motions,
        '--model',
        model_file,
        '--skeleton',
        'cocoplus19',
        '--vertex',
        'head_top=7',
        'nose=8',
        '--out',
        out,
    )
    assert status == 0 and errors == ''
    assert '2 sequences, 9 frames of cocoplus19 in metres, 0 files skipped' in printed
    assert '1 files have more than the 10 betas' in printed
    assert 'NaN: left_eye, right_eye, left_ear, right_ear' in printed
    joints = SMPLJoints(model_file, 'cocoplus19', vertices=dict(head_top=7, nose=8))
    with np.load(out, allow_pickle=False) as written:
        assert sorted(written.files) == ['b', 'file']
        for path in (motions / 'file.npz', motions / 'below' / 'b.pkl'):
            parameters = read_smpl_parameters(path)
            parameters['betas'] = parameters['betas'][..., :10]
            array = written[path.stem]
            assert array.dtype == np.float32 and array.shape[1:] == (19, 3)
            np.testing.assert_array_equal(array, joints(**parameters))
    assert [p.name for p in out.parent.iterdir()] == ['joints.npz']


def test_a_bad_file_stops_it_or_is_counted(run, motions, model_file, tmp_path):
    out = tmp_path / 'joints.npz'
    np.savez(motions / 'bad.npz', trans=np.zeros((2, 3)))
    arguments = (motions, '--model', model_file, '--out', out)
    status, _, errors = run(*arguments)
    assert status == 1 and 'bad.npz: the pose is needed once' in errors
    assert not list(tmp_path.glob('joints*'))
    status, printed, errors = run(*arguments, '--skip-bad')
    assert status == 0 and '2 sequences, 9 frames of smpl24' in printed
    assert '1 files skipped' in printed and 'skipped: ' in errors and 'bad.npz' in errors


def test_what_cannot_be_done_is_said(run, motions, model_file, tmp_path):
    out = ('--out', tmp_path / 'joints.npz')
    (motions / 'below' / 'file.pkl').write_bytes(b'')
    status, _, errors = run(motions, '--model', model_file, *out)
    assert status == 1 and "the name 'file' is there more than once" in errors
    status, _, errors = run(tmp_path / 'none.npz', '--model', model_file, *out)
    assert status == 1 and 'none.npz' in errors
    (tmp_path / 'empty').mkdir()
    status, _, errors = run(tmp_path / 'empty', '--model', model_file, *out)
    assert status == 1 and 'no .npz or .pkl or .pickle files in' in errors
    status, _, errors = run(motions / 'file.npz', '--model', tmp_path / 'none.pkl', *out)
    assert status == 1 and 'none.pkl' in errors
    status, _, errors = run(motions / 'file.npz', '--model', model_file, *out, '--vertex', 'beak=1')
    assert status == 1 and "no joint 'beak'" in errors
    with pytest.raises(SystemExit):
        run(motions, '--model', model_file, *out, '--vertex', 'nose')
    assert not list(tmp_path.glob('joints*'))

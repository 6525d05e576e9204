"""The short part of `make fuzz` and `make test-kill`, and that both can fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reliability import fuzz, works
from reliability.cases import Case
from reliability.mutations import VALUES, edit_bytes, edit_value
from reliability.sandbox import changes, tree

ROOT = Path(__file__).parents[2]


def run(module: str, *words: str) -> subprocess.CompletedProcess:
    """`python -m reliability.MODULE`."""
    search = os.pathsep.join([str(ROOT), str(ROOT / 'tests')])
    return subprocess.run(
        [sys.executable, '-m', f'reliability.{module}', *words],
        env={**os.environ, 'PYTHONPATH': search, 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_spoilt_inputs_of_every_kind_are_right_or_refused(tmp_path, capfd):
    status = fuzz.main(['--inputs', '28', '--workers', '1', '--keep', str(tmp_path / 'kept')])
    said, complained = capfd.readouterr()
    assert status == 0, said + complained
    assert all(kind.name in said for kind in fuzz.KINDS)


@pytest.mark.parametrize(
    'only',
    [
        ['clip', *(f'{work}:SIGKILL' for work in ('stream', 'form', 'pose'))],
        pytest.param(['form'], marks=pytest.mark.slow),
        pytest.param(['pose'], marks=pytest.mark.slow),
        pytest.param(['stream'], marks=pytest.mark.slow),
    ],
    ids=' '.join,
)
def test_work_stopped_and_taken_up_again_is_as_without_a_stop(only):
    done = run('kill', '--moments', '2', '--only', *only)
    assert done.returncode == 0, done.stdout + done.stderr


# What judges can say no.


def test_the_same_seed_draws_the_same_inputs():
    kind = fuzz.KINDS[0]
    first = fuzz.draw(kind, 20, 1)
    assert first == fuzz.draw(kind, 20, 1) and first != fuzz.draw(kind, 20, 2)
    assert len({json.dumps(spec) for spec in first}) == 20


@pytest.mark.parametrize('kind', fuzz.KINDS, ids=lambda kind: kind.name)
def test_specs_can_be_kept_as_they_are(kind):
    for spec in fuzz.draw(kind, 5, 0):
        assert json.loads(json.dumps(spec)) == spec


def test_edits_are_functions_of_edit_and_file():
    data = bytes(range(256)) * 4
    edit = dict(op='noise', at=0.5, to=0.0, size=8, value=3)
    assert edit_bytes(data, edit) == edit_bytes(data, edit) != data
    assert edit_bytes(data, dict(edit, op='cut')) == data[:512]
    content = {'a': [1, {'b': 2}]}
    edited = edit_value(content, dict(op='replace', at=0.0, to=0.9, value='text'))
    assert edited == {'a': VALUES['text']}


def test_a_tree_tells_what_was_written(tmp_path):
    (tmp_path / 'a').write_text('1')
    before = tree(tmp_path)
    assert not changes(before, tree(tmp_path))
    (tmp_path / 'a').write_text('22')
    (tmp_path / 'b').touch()
    assert changes(before, tree(tmp_path)) == ['a', 'b']


def case(folder: Path, **more) -> Case:
    for part in ('in', 'out', 'home'):
        (folder / part).mkdir()
    (folder / 'out/earlier.json.txt').write_text('{"before": true}\n')
    return Case('video, bytes', {}, str(folder), argv=['infer'], named=['a.mp4'], **more)


@pytest.mark.parametrize(
    ('status', 'trace', 'said', 'written', 'verdict'),
    [
        (1, None, 'in/a.mp4: no video\n', [], 'refused'),
        (1, None, 'no video\n', [], 'not named'),
        (1, None, 'in/a.mp4: no video\nmore\n', [], 'not one line'),
        (1, None, '', [], 'not one line'),
        (None, 'ValueError: x', '', [], 'traceback'),
        (1, None, 'in/a.mp4: no video\n', ['in/b'], 'escaped'),
        (1, None, 'in/a.mp4: no video\n', ['canary'], 'executed'),
        (1, None, 'in/a.mp4: no video\n', ['out/.a.partial.json'], 'half written'),
        (1, None, 'in/a.mp4: no video\n', ['out/a.json'], 'half written'),
        (0, None, '', [], 'wrong result'),
    ],
)
def test_verdicts(tmp_path, status, trace, said, written, verdict):
    from reliability.worker import judge

    assert judge(case(tmp_path), status, trace, said, '', written)[0] == verdict


def test_a_difference_is_told_to_the_last_digit():
    one = dict(weights=np.array([1.0, 2.0], np.float32), epoch=3)
    assert works.difference(one, dict(one)) is None
    other = dict(one, weights=np.nextafter(one['weights'], 5))
    assert works.difference(one, other).startswith('weights is 2.38')
    assert works.difference(one, dict(one, epoch=4)) == 'epoch differs'
    video = np.zeros((2, 4, 4, 3), np.uint8)
    assert works.difference(dict(video=video), dict(video=video + 1)) is None
    assert 'away' in works.difference(dict(video=video), dict(video=video + 9))

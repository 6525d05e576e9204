"""tools/data/convert_skeletons.py: both formats, one line at the end, one line on what is wrong."""

import csv
import json

import numpy as np
import pytest

from rpstn.skeletons import get_skeleton

COCO = get_skeleton('coco17').joints


@pytest.fixture
def squats(tmp_path):
    """Two good sequences of 2D joints in pixels and one bad one, of 4 frames each."""
    rng = np.random.default_rng(0)
    for name in ('good/1', 'good/2', 'bad/1'):
        frames = [dict(frame=t, keypoints=rng.uniform(1, 99, (17, 3)).tolist()) for t in range(4)]
        path = tmp_path / f'in/{name}.json'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(dict(joints=COCO, fps=25, size=[99, 99], frames=frames)))
    return tmp_path / 'in'


def test_a_folder_of_joints(squats, tool, tmp_path, capsys):
    tool(
        'convert_skeletons',
        'joints',
        squats,
        '--out',
        tmp_path / 'out',
        '--target',
        'penn13',
        '--annotations',
    )
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == [
        'annotations.pkl',
        'keypoints2d.npz',
        'labels.csv',
    ]
    output = capsys.readouterr()
    assert output.out.startswith(
        f'{tmp_path / "out"}: 3 sequences, 12 frames of penn13 (0.0% of '
        'joints missing); bad 1, good 2; skipped 0; '
    )
    assert output.out.count('\n') == 1 and output.err == ''


def test_bad_files_stop_or_are_listed(squats, tool, tmp_path, capsys):
    (squats / 'good/3.json').write_text('[[[1]]]')
    with pytest.raises(SystemExit, match=r'3\.json: frames\[0\]: joint 0: the joint must be'):
        tool('convert_skeletons', 'joints', squats, '--out', tmp_path / 'out')
    assert not list((tmp_path / 'out').iterdir())
    tool('convert_skeletons', 'joints', squats, '--out', tmp_path / 'out', '--skip-bad')
    output = capsys.readouterr()
    assert 'skipped 1: 1 unreadable' in output.out
    assert output.err.startswith('skipped: ') and '3.json' in output.err


def test_fitness_aqa_in_windows(squats, tool, tmp_path, capsys):
    labels = {f'{i}': [[0.0, 0.08]] if i == 1 else [] for i in range(1, 30)}
    for file, content in (
        ('Labels/error_knees_inward.json', labels),
        ('Splits/train_keys.json', list(labels)),
    ):
        path = tmp_path / 'Squat/Labeled_Dataset' / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    tool(
        'convert_skeletons',
        'fitness-aqa',
        tmp_path / 'Squat',
        '--skeletons',
        squats / 'good',
        '--out',
        tmp_path / 'out',
        '--window',
        '0.08',
        '--errors',
        'knees_inward',
    )
    with open(tmp_path / 'out/labels.csv', newline='') as file:
        rows = {row['name']: row['label'] for row in csv.DictReader(file)}
    assert rows == {'1@00000': 'knees_inward', '1@00002': '', '2@00000': '', '2@00002': ''}
    output = capsys.readouterr()
    assert 'skipped 27: 27 without a skeleton' in output.out
    assert output.err.startswith('skipped, without a skeleton: 10, 11')
    assert output.err.endswith('and 17 more\n')


@pytest.mark.parametrize(
    'arguments,message',
    [
        (['joints', 'nowhere'], 'nowhere: no such folder'),
        (['fitness-aqa', 'nowhere', '--skeletons', 'nowhere'], 'nowhere: no such folder'),
        (['joints', '.', '--fps', '0'], 'fps must be above 0'),
    ],
)
def test_what_is_wrong_is_one_line(arguments, message, tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=message):
        tool('convert_skeletons', *arguments, '--out', tmp_path.parent / 'out')


def test_options_that_do_not_belong_together(tool, tmp_path, capsys):
    with pytest.raises(SystemExit):
        tool(
            'convert_skeletons',
            'fitness-aqa',
            tmp_path,
            '--skeletons',
            tmp_path,
            '--out',
            tmp_path / 'out',
            '--stride',
            '1',
        )
    assert '--stride and --overlap need --window' in capsys.readouterr().err

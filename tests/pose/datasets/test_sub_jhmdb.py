"""sub-JHMDB: its own lists, of either name, over the clips of JHMDB."""

import re

import pytest

from rpstn.pose.datasets import JHMDBClipDataset, SubJHMDBClipDataset, find_data

try:
    REAL = find_data('jhmdb')
except FileNotFoundError:
    REAL = None


def names_of(data) -> list[str]:
    return [data.sequences[i].name for i in range(len(data.sequences))]


def write_lists(root, lists: dict[str, str]) -> None:
    (root / 'sub_splits').mkdir(exist_ok=True)
    for name, text in lists.items():
        (root / 'sub_splits' / name).write_text(text)


def load(root, **options) -> SubJHMDBClipDataset:
    return SubJHMDBClipDataset(str(root), **{'subset': 'trainval', 'clip_len': 3, **options})


@pytest.fixture
def tree(jhmdb_tree):
    for name in ('run/a', 'run/b', 'run/c', 'wave/d'):
        jhmdb_tree.add(name, video=8)
    write_lists(
        jhmdb_tree.root,
        {'run_test_split1.txt': 'a.avi 1\nb.avi 2\n', 'run_test_split_2.txt': 'a.avi 2\nb.avi 1\n'},
    )
    return jhmdb_tree.root


def test_only_listed_clips_of_either_form_of_name(tree):
    assert names_of(load(tree)) == ['run/a'] and names_of(load(tree, subset='test')) == ['run/b']
    assert names_of(load(tree, split=2)) == ['run/b']
    # Both kinds of lists lie side by side, and neither spoils the other's cache.
    whole = JHMDBClipDataset(str(tree), subset='trainval', clip_len=3)
    assert names_of(whole) == ['run/a', 'run/b', 'run/c', 'wave/d']
    assert names_of(load(tree)) == ['run/a'] and len(list(tree.glob('.rpstn_*.npz'))) == 3


def test_lists_that_are_not_those_of_sub_jhmdb_are_told(tree, warnings_logged):
    load(tree)
    assert any(
        re.search('split 1 in .* lists 2 clips of 1 classes; sub-JHMDB has 316 of 12', w)
        for w in warnings_logged()
    )


def test_316_clips_of_12_classes_are_taken_without_a_word(jhmdb_tree, warnings_logged):
    jhmdb_tree.add('c0/0', video=8)
    write_lists(
        jhmdb_tree.root,
        {
            f'c{c}_test_split3.txt': ''.join(f'{n}.avi 1\n' for n in range(c, 316, 12))
            for c in range(12)
        },
    )
    data = load(jhmdb_tree.root, split=3)
    assert names_of(data) == ['c0/0'] and len(data.bad_sequences) == 315
    assert not any('sub-JHMDB has' in w for w in warnings_logged())


def test_a_split_without_lists(tree):
    with pytest.raises(
        FileNotFoundError, match=r'sub_splits/\*_test_split3.txt: .*splits found there: 1, 2$'
    ):
        load(tree, split=3)
    with pytest.raises(ValueError, match=r'split must be one of \(1, 2, 3\), got 4'):
        load(tree, split=4)


@pytest.mark.skipif(REAL is None, reason='the clips of JHMDB are not here')
def test_real_clips(tmp_path):
    for folder in ('ReCompress_Videos', 'joint_positions'):
        (tmp_path / folder).symlink_to((REAL / folder).resolve())
    lists = {
        name: (REAL / 'splits' / name).read_text().splitlines()[:9]
        for name in ('golf_test_split1.txt', 'pullup_test_split1.txt')
    }
    write_lists(tmp_path, {name: '\n'.join(lines) for name, lines in lists.items()})
    listed = {
        f'{name.partition("_")[0]}/{line.partition(".avi")[0]}': line[-1]
        for name, lines in lists.items()
        for line in lines
    }
    both = {
        subset: names_of(load(tmp_path, subset=subset, clip_len=5))
        for subset in ('trainval', 'test')
        if '1' in listed.values() and ('2' in listed.values() or subset == 'trainval')
    }
    assert both['trainval'] == sorted(n for n, kind in listed.items() if kind == '1')
    assert both.get('test', []) == sorted(n for n, kind in listed.items() if kind == '2')
    data = load(tmp_path, clip_len=5)
    assert data.read_frame(names_of(data)[0], 3).shape == (240, 320, 3)

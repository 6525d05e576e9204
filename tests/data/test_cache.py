"""The cache of parsed annotations: used, renewed, and never believed."""

from __future__ import annotations

import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

from rpstn.data.cache import cached_arrays


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'xdg'))


@pytest.fixture
def numbers(tmp_path):
    """A function that reads the numbers in a folder of files, and counts how often it parses."""
    root = tmp_path / 'numbers'
    root.mkdir()
    (root / 'a.txt').write_text('1 2')

    def read() -> np.ndarray:
        files = sorted(root.glob('*.txt'))

        def parse() -> dict[str, np.ndarray]:
            read.parsed += 1
            return dict(numbers=np.array([int(n) for f in files for n in f.read_text().split()]))

        return cached_arrays('numbers', root, files, parse)['numbers'].tolist()

    read.parsed, read.root, read.file = 0, root, root / '.rpstn_numbers.npz'
    return read


def test_it_is_used_until_a_file_changes(numbers):
    assert numbers() == numbers() == [1, 2] and numbers.parsed == 1
    (numbers.root / 'b.txt').write_text('3')
    assert numbers() == [1, 2, 3] and numbers.parsed == 2
    (numbers.root / 'a.txt').write_text('7 8 9')
    assert numbers() == numbers() == [7, 8, 9, 3] and numbers.parsed == 3
    assert sorted(p.name for p in numbers.root.iterdir()) == [numbers.file.name, 'a.txt', 'b.txt']


def test_what_counts_is_content_not_size_and_time(numbers):
    file = numbers.root / 'a.txt'
    before = file.stat()
    assert numbers() == [1, 2]
    file.write_text('3 4')
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size and numbers() == [3, 4]
    file.touch()
    assert numbers() == [3, 4] and numbers.parsed == 2


class Exploit:
    def __reduce__(self):
        return os.system, ('touch planted_code_ran',)


@pytest.mark.parametrize(
    'content',
    [pickle.dumps(Exploit()), b'', b'PK\x03\x04 damaged', None],
    ids=['pickle', 'empty', 'zip', 'objects'],
)
def test_a_planted_or_damaged_one_is_ignored_and_written_anew(numbers, content, monkeypatch):
    monkeypatch.chdir(numbers.root)
    numbers()
    if content is None:
        # An archive of the right form whose arrays are pickled objects, with the right key.
        with np.load(numbers.file) as cache:
            arrays = dict(cache, numbers=np.array([Exploit()], object))
        np.savez(numbers.file, **arrays)
    else:
        numbers.file.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert numbers() == [1, 2] and numbers.parsed == 2
    assert not Path('planted_code_ran').exists()
    assert numbers() == [1, 2] and numbers.parsed == 2


def test_beside_read_only_data_it_is_the_users(numbers, tmp_path):
    numbers.root.chmod(0o555)
    try:
        assert numbers() == numbers() == [1, 2] and numbers.parsed == 1
    finally:
        numbers.root.chmod(0o755)
    assert not numbers.file.exists() and list((tmp_path / 'xdg/rpstn').glob('numbers-*.npz'))

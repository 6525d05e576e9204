"""tools/research/relation/benchmark_relation.py: the memory that the non-local block saves."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.skipif(not Path('/proc/self/status').exists(), reason='memory is read from /proc')
def test_the_block_needs_a_tenth_of_the_memory_of_the_plain_one():
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / 'tools/research/relation/benchmark_relation.py'),
            '--batch-size',
            '2',
            '--repeats',
            '1',
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    rows = [line.strip('| ').split('|') for line in done.stdout.splitlines() if 'ocal' in line]
    memory = {row[0].strip(): float(row[1]) for row in rows}
    # Two maps of 4096 cells: softmax and its gradient are 128 MB each.
    assert memory['mmcv.cnn.NonLocal2d'] > 200
    assert memory['NonLocalRelation'] < memory['mmcv.cnn.NonLocal2d'] / 10

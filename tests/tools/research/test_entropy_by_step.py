"""tools/research/relation/entropy_by_step.py: one step of training, and the shipped model."""

import numpy as np
import pytest

from entropy_by_step import BEGIN, END, sharpness


def test_the_identity_is_sharp_and_an_even_relation_is_not():
    assert sharpness([np.eye(4)[None]]) == pytest.approx((0, 1))
    assert sharpness([np.full((2, 4, 4), 0.25)]) == pytest.approx((1, 0.25))


@pytest.mark.slow
def test_the_tables_go_between_the_pages_markers(tool, tmp_path):
    page = tmp_path / 'page.md'
    page.write_text(f'before\n{BEGIN}\nold\n{END}\nafter\n')
    tool('entropy_by_step', '--steps', 1, '--batch-size', 2, '--page', page)
    text = page.read_text()
    assert text.startswith(f'before\n{BEGIN}\n\n| before step') and text.endswith(f'{END}\nafter\n')
    assert 'as shipped' in text and 'old' not in text
    first = next(line for line in text.splitlines() if line.startswith('| 1 '))
    entropies = [float(cell.split('(')[0]) for cell in first.split('|')[2:-1]]
    # Nearly even of P's first maps; one-hot behind JRPSP, but for the released norm.
    assert entropies[0] > 0.9 > 0.1 > entropies[1] and entropies[3] > 0.3

"""`rpstn benchmark` prints, fills its page and its file, and says what is wrong in a line."""

import json

import numpy as np
import pytest
import torch

from rpstn.cli.main import main

pytestmark = pytest.mark.engines


def test_the_command_writes_its_page(configs, tmp_path, capsys):
    page, found = tmp_path / 'performance.md', tmp_path / 'found.json'
    page.write_text('# Speed\n\n<!-- benchmark -->\nold\n<!-- /benchmark -->\n\nEnd.\n')
    arguments = f'{configs["tiny"]} --rounds 2 --frames 3 --threads 1 --clip-len 3'.split()
    arguments += ['--ways', 'release', 'torch float32']
    assert main(['benchmark', *arguments, '--out', str(page), '--json', str(found)]) == 0
    printed, text = capsys.readouterr().out, page.read_text()
    assert text == (f'# Speed\n\n<!-- benchmark -->\n{printed}<!-- /benchmark -->\n\nEnd.\n')
    assert f'torch {torch.__version__}' in text and 'load' in text and '### tiny: 64x64' in text
    (section,) = json.loads(found.read_text())['sections']
    timings = section['timings'].values()
    assert [np.shape(timing['ms']) for timing in timings] == [(2, 1), (2, 3)]
    assert all(timing['memory'] > 50 for timing in timings)

    page.write_text('no marks')
    for wrong, message in (
        ([*arguments, '--out', str(page)], 'has no lines'),
        ([*arguments, '--ways', 'gpu'], "ways must be of 'release'"),
        ([*arguments, '--ways', 'mediapipe'], 'mediapipe needs a video (--video)'),
        ([*arguments, '--end-to-end'], 'end to end needs a video (--video)'),
        ([str(tmp_path / 'no.py')], 'no.py: no such config file'),
    ):
        assert main(['benchmark', *wrong]) == 1
        error = capsys.readouterr().err.strip()
        assert message in error and len(error.splitlines()) == 1
    assert page.read_text() == 'no marks'

"""Packing and measuring from the command line."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from rpstn.pose.datasets import find_data

CONFIG = Path(__file__).parents[2] / 'engine/test_shipped.py'


@pytest.fixture(scope='module')
def trained(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp('lite')
    text = CONFIG.read_text().split('"""')[3]
    (folder / 'small.py').write_text(text)
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(folder / 'small.py').model)
    torch.save(dict(state_dict=model.state_dict()), folder / 'epoch_1.pth')
    return folder / 'small.py', folder / 'epoch_1.pth'


def needs_jhmdb() -> None:
    try:
        find_data('jhmdb')
    except FileNotFoundError:
        pytest.skip('the clips of JHMDB are not here')


def run(name: str, *arguments) -> int:
    """The exit status of a tool, run in this process."""
    path = Path(__file__).parents[3] / f'tools/research/{name}.py'
    spec = importlib.util.spec_from_file_location(f'rpstn_tools_{name}', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    argv, threads = sys.argv, torch.get_num_threads()
    sys.argv = [f'tools/{name}.py', *map(str, arguments)]
    try:
        return module.main()
    finally:
        sys.argv = argv
        torch.set_num_threads(threads)


def test_the_table_is_written_between_its_markers(trained, tmp_path):
    needs_jhmdb()
    page = tmp_path / 'zoo.md'
    page.write_text('before\n<!-- lite table -->\noutdated\n<!-- end of lite table -->\nafter\n')
    config, checkpoint = trained
    options = ('--subset', 'val', '--every', 14, '--threads', 1, '--out', page)
    assert (
        run(
            'evaluate_lite',
            '--row',
            'small',
            config,
            checkpoint,
            '--row',
            'twice',
            config,
            f'{checkpoint},{checkpoint}',
            '--json',
            tmp_path / 'all.json',
            *options,
        )
        == 0
    )
    text = page.read_text()
    assert text.startswith('before\n') and text.endswith('after\n') and 'outdated' not in text
    lines = [line.split('|') for line in text.splitlines() if line.startswith('| ')]
    rows = {(line[1].strip(), line[2].strip()): ''.join(line) for line in reversed(lines)}
    for seen in ('label boxes', 'whole frames'):
        assert '±' not in rows['small', seen] and '± 0.0' in rows['twice', seen]
        assert rows['small less twice', seen].count('+0.0 (+0.0 to +0.0)') == 6
    runs = json.loads((tmp_path / 'all.json').read_text())
    parts = [('small', 'label boxes'), ('small', 'whole frames')]
    parts += [('twice', 'label boxes')] * 2 + [('twice', 'whole frames')] * 2
    assert [(run['name'], run['seen']) for run in runs] == parts
    assert all(run['milliseconds'] > 0 and run['megabytes'] < 2 for run in runs)
    assert runs[0]['clean'] == runs[3]['clean'] != runs[1]['clean'], 'the same in every run'
    assert len(runs[0]['counts']['clean']['torso']['right']) == 2
    assert 'val' in text and 'every 14th' in text


def test_measuring_stops_at_what_is_wrong_before_it_starts(trained, tmp_path, capsys):
    config, checkpoint = trained
    page = tmp_path / 'page.md'
    page.write_text('no table')
    with pytest.raises(SystemExit):
        run('evaluate_lite', '--row', 'a', config, checkpoint, '--out', page)
    assert 'has no line <!-- lite table -->' in capsys.readouterr().err
    assert run('evaluate_lite', '--row', 'a', config, tmp_path / 'no.pth', '--out', '-') == 1
    assert 'no.pth: no such checkpoint file' in capsys.readouterr().err
    assert page.read_text() == 'no table'


def test_packing(trained, tmp_path, capsys):
    assert run('pack_lite', *trained, '--name', 'small', '--out', tmp_path, '--about', 'a=b=c') == 0
    assert json.loads((tmp_path / 'small.json').read_text())['about'] == dict(a='b=c')
    assert 'small.pt' in capsys.readouterr().out
    assert run('pack_lite', trained[0], tmp_path / 'no.pth', '--out', tmp_path) == 1
    assert 'no such checkpoint file' in capsys.readouterr().err
    assert run('pack_lite', tmp_path / 'no.py', trained[1], '--out', tmp_path) == 1

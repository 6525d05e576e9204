"""Every script starts by itself, as its first import may be the one that needs rpstn first."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = [
    path
    for path in sorted((ROOT / 'tools').rglob('*.py'))
    if "__name__ == '__main__'" in path.read_text()
]


@pytest.mark.slow
@pytest.mark.parametrize('script', SCRIPTS, ids=lambda path: path.stem)
def test_help_comes(script):
    done = subprocess.run(
        [sys.executable, script, '--help'],
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
    )
    assert done.returncode == 0 and 'usage:' in done.stdout, done.stderr[-2000:]


@pytest.mark.parametrize('script', SCRIPTS, ids=lambda path: path.stem)
def test_rpstn_comes_before_what_it_mends(script):
    """MMPose and MMAction2 import only behind it; so do the modules beside a script."""
    names = []
    for node in ast.parse(script.read_text()).body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module)
    tops = [name.split('.')[0] for name in names]
    beside = (
        {path.stem for path in script.parent.glob('*.py')} if 'research' in script.parts else {}
    )
    ours = tops.index('rpstn')
    assert not {'mmpose', 'mmaction', *beside} & set(tops[:ours]), tops

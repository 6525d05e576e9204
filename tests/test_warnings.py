"""Importing brings no warnings but those of others that pyproject.toml lists with their reasons."""

import subprocess
import sys

# rpstn first, which makes the others work. All of its modules, those loaded late included.
IMPORTS = """
import importlib, pkgutil
import rpstn
ours = [module.name for module in pkgutil.walk_packages(rpstn.__path__, 'rpstn.')]
theirs = ['mmpose.apis', 'mmpose.models', 'mmpose.datasets', 'mmpose.evaluation',
          'mmaction.apis', 'mmaction.models', 'mmaction.datasets', 'mmaction.evaluation']
for name in ours + theirs:
    importlib.import_module(name)
print(len(ours))
"""


def test_importing_brings_no_new_warning(pytestconfig):
    # What comes last is looked at first.
    filters = ['error', *pytestconfig.getini('filterwarnings')]
    options = [option for text in filters for option in ('-W', text)]
    done = subprocess.run(
        [sys.executable, *options, '-c', IMPORTS],
        cwd=pytestconfig.rootpath,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > 100 and 'Warning' not in done.stderr

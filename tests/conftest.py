"""Makes the stack work and registers all components before any test module imports MMPose."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)

from mmengine.registry import DefaultScope  # isort: skip

ROOT = Path(__file__).parents[1]

# Makes modules and distributions look as if they were not installed: unlike an import that raises,
# finders then find nothing, as it is where they really are missing.
HIDE = """
import sys
hidden = {hidden!r}
class Finder:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        if any(name == h or name.startswith(h + '.') for h in hidden):
            return None
        return self.finder.find_spec(name, path, target)
    def find_distributions(self, *args):
        found = getattr(self.finder, 'find_distributions', lambda *args: [])(*args)
        return [d for d in found if d.metadata['Name'] not in hidden]
sys.meta_path[:] = map(Finder, sys.meta_path)
"""


@pytest.fixture(autouse=True)
def no_default_scope():
    """Each test starts without a default scope, whichever package the one before it was about."""
    DefaultScope._instance_dict.clear()
    yield
    DefaultScope._instance_dict.clear()


@pytest.fixture(scope='session')
def run_python() -> Callable[..., subprocess.CompletedProcess]:
    """Runs code in a new interpreter: ``run_python(code, hidden=(), path=())``.

    ``hidden`` names modules and distributions that it shall not find, ``path`` folders that it
    shall search before all others.
    """

    def run(
        code: str, hidden: Sequence[str] = (), path: Sequence[Path] = ()
    ) -> subprocess.CompletedProcess:
        search = os.pathsep.join(map(str, [*path, ROOT]))
        return subprocess.run(
            [sys.executable, '-c', HIDE.format(hidden=tuple(hidden)) + code],
            env={**os.environ, 'PYTHONPATH': search, 'COLUMNS': '200'},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run

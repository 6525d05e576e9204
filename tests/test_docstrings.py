"""The examples in docstrings do what they say."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / 'rpstn'
MODULES = [
    '.'.join(file.relative_to(PACKAGE.parent).with_suffix('').parts).removesuffix('.__init__')
    for file in sorted(PACKAGE.rglob('*.py'))
    if '>>> ' in file.read_text()
]


@pytest.mark.parametrize('module', MODULES)
def test_examples_do_what_they_say(module):
    found = doctest.testmod(import_module(module), optionflags=doctest.ELLIPSIS)
    assert found.attempted and not found.failed


def test_the_central_types_have_examples():
    assert {'rpstn.results', 'rpstn.files', 'rpstn.errors'} <= set(MODULES)

"""The pins state exactly what is installed, agree with each other, and with setup.py's ranges."""

import platform
import re
import runpy
from importlib import metadata
from pathlib import Path

import pytest
import setuptools
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / 'requirements'
NO_DEPENDENCIES = ('openmmlab', 'mediapipe')
WITH_DEPENDENCIES = ('base', 'export', 'serve', 'cluster', 'dev', 'docs', 'browser')
GROUPS = WITH_DEPENDENCIES + NO_DEPENDENCIES
PYTHONS = ('3.10', '3.11', '3.12')
# Nothing else may stand in a line: no hash, index, path, local version, or range.
NAME = r'[a-z0-9-]+'
SOURCE = rf'(?:{NAME}|-r {NAME}\.in|-c {NAME}\.txt)'
PIN = re.compile(rf'({NAME}==[0-9][a-z0-9.]*(?: ; [^#]+?)?) +# via {SOURCE}(?:, {SOURCE})*')
# A build of torch for CUDA asks for these itself; with another build they are not wanted.
CUDA = re.compile('cuda-|nvidia-|triton')


def read_pins(group: str) -> list[Requirement]:
    """The pins of a compiled file, which are one a line."""
    lines = (FOLDER / f'{group}.txt').read_text().splitlines()
    return [Requirement(line.partition('#')[0]) for line in lines if not line.startswith('#')]


def read_direct(group: str) -> list[Requirement]:
    """What a file written by hand asks for."""
    lines = (line.partition('#')[0].strip() for line in (FOLDER / f'{group}.in').open())
    return [Requirement(line) for line in lines if line and not line.startswith('-c')]


def applies(requirement: Requirement, python: str) -> bool:
    """Whether a requirement holds on Linux with this version of Python."""
    environment = {
        'python_version': python,
        'python_full_version': f'{python}.0',
        'sys_platform': 'linux',
        'platform_system': 'Linux',
        'extra': '',
    }
    return requirement.marker is None or requirement.marker.evaluate(environment)


def versions(python: str, groups: tuple[str, ...] = GROUPS) -> dict[str, Version]:
    """The pinned version of each distribution, which may stand in several files but is the same."""
    found = {}
    for group in groups:
        for pin in read_pins(group):
            if applies(pin, python):
                (specifier,) = pin.specifier
                version = Version(specifier.version)
                assert found.setdefault(pin.name, version) == version, f'{pin} in {group}.txt'
    return found


def read_setup(monkeypatch) -> dict:
    """What setup.py hands to setuptools."""
    said = {}
    monkeypatch.setattr(setuptools, 'setup', said.update)
    runpy.run_path(str(ROOT / 'setup.py'))
    return said


def assert_met(requirement: Requirement, pins: dict[str, Version]) -> None:
    pinned = pins.get(canonicalize_name(requirement.name))
    assert pinned is not None, f'{requirement} is not pinned'
    assert requirement.specifier.contains(pinned), f'{requirement} is pinned to {pinned}'


def test_every_group_is_compiled():
    for pattern in ('*.in', '*.txt'):
        assert sorted(file.stem for file in FOLDER.glob(pattern)) == sorted(GROUPS)


@pytest.mark.parametrize('group', GROUPS)
def test_a_compiled_file_holds_pins_and_nothing_else(group):
    lines = (FOLDER / f'{group}.txt').read_text().splitlines()
    assert lines[1] == '#    make pins'
    assert [line for line in lines[2:] if not PIN.fullmatch(line)] == []
    assert [line for line in lines if CUDA.match(line)] == []


@pytest.mark.parametrize(
    'line',
    [
        'numpy>=1.26.4             # via -r base.in',
        'numpy==1.26.4             # via -r /home/me/base.in',
        'numpy==1.26.4 --hash=sha256:00  # via -r base.in',
        'torch==2.13.0+cpu         # via -r base.in',
        'torch @ file:///torch.whl  # via -r base.in',
        '--extra-index-url https://example.com/simple',
        '--find-links /wheels',
    ],
)
def test_what_else_would_be_seen(line):
    assert not PIN.fullmatch(line)


@pytest.mark.parametrize('group', GROUPS)
def test_a_compiled_file_is_that_of_what_was_asked_for(group):
    direct = read_direct(group)
    for python in PYTHONS:
        pins = versions(python, (group,))
        for requirement in direct:
            if applies(requirement, python):
                assert_met(requirement, pins)
    asked_for = {
        line.partition('==')[0]
        for line in (FOLDER / f'{group}.txt').read_text().splitlines()
        if f'-r {group}.in' in line
    }
    assert asked_for == {canonicalize_name(requirement.name) for requirement in direct}


@pytest.mark.parametrize('python', PYTHONS)
def test_pins_agree_with_each_other_and_with_setup(python, monkeypatch):
    versions(python)
    base = versions(python, ('base',))
    setup = read_setup(monkeypatch)
    assert f'{python}.0' in Requirement(f'python{setup["python_requires"]}').specifier
    for requirement in map(Requirement, setup['install_requires']):
        if applies(requirement, python):
            assert_met(requirement, base)
    for group, texts in setup['extras_require'].items():
        direct = {requirement.name for requirement in read_direct(group)}
        assert {Requirement(text).name for text in texts} <= direct


def test_the_hook_runs_the_pinned_ruff():
    (pin,) = (pin for pin in read_pins('dev') if pin.name == 'ruff')
    hooks = (ROOT / '.pre-commit-config.yaml').read_text()
    assert set(re.findall(r'ruff==[0-9.]+', hooks)) == {str(pin)}


def test_what_the_pinned_ones_ask_for_is_pinned():
    """By what the installed ones say of themselves, where they are of the pinned version."""
    python = '.'.join(platform.python_version_tuple()[:2])
    looked_at = set()
    for group in WITH_DEPENDENCIES:
        pins = versions(python, (group,))
        for name, pinned in pins.items():
            try:
                found = metadata.distribution(name)
            except metadata.PackageNotFoundError:
                continue
            if Version(Version(found.version).public) != pinned:
                continue
            looked_at.add(name)
            for requirement in map(Requirement, found.requires or ()):
                if applies(requirement, python) and not CUDA.match(requirement.name):
                    assert_met(requirement, pins)
    assert looked_at

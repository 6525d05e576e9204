"""What is installed, what is patched, what is wrong, and what mends it."""

import importlib
import platform
import warnings
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from packaging.specifiers import SpecifierSet

from . import versions
from .patches import patches


@dataclass(frozen=True)
class Package:
    """What rpstn asks of a package.

    Attributes:
        names: The distributions that provide it, any of which will do.
        supported: The versions it works with, as in PEP 440; empty for any.
        required: Whether rpstn needs it.
        module: Its top module, by which patches are assigned to it.
        mend: The command that installs it, where a plain pip install would not do.
    """

    names: tuple[str, ...]
    supported: str
    required: bool = True
    module: str = ''
    mend: str = ''

    @property
    def command(self) -> str:
        """The command that installs a supported version."""
        return self.mend or f'pip install "{self.names[0]}{self.supported}"'


_OTHER_NAMES = {
    'opencv-python-headless': (
        'opencv-python',
        'opencv-contrib-python',
        'opencv-contrib-python-headless',
    ),
    'mmcv-lite': ('mmcv',),
}
_MODULES = {'mmcv-lite': 'mmcv', 'mmaction2': 'mmaction'}
_INSTALL = {'mmdet': versions.INSTALL_MMDET, 'mediapipe': versions.INSTALL_MEDIAPIPE}


def packages() -> list[Package]:
    """All that :mod:`rpstn.compat.versions` names."""

    def package(name: str, supported: str, required: bool, mend: str, module: str = '') -> Package:
        return Package((name, *_OTHER_NAMES.get(name, ())), supported, required, module, mend)

    return [
        *(package(name, wanted, True, '') for name, wanted in versions.REQUIRED.items()),
        *(
            package(
                name,
                wanted,
                name not in ('mmaction2', 'smplx'),
                versions.INSTALL_OPENMMLAB,
                _MODULES.get(name, name),
            )
            for name, (wanted, _) in versions.OPENMMLAB.items()
        ),
        *(
            package(name, wanted, False, _INSTALL.get(name, ''))
            for name, wanted in versions.OPTIONAL.items()
        ),
    ]


# What must be importable where a distribution is installed.
IMPORTS = {
    'mmcv.ops': 'mmcv',
    'mmdet.apis': 'mmdet',
    'torchvision': 'torchvision',
    'mmpose.models': 'mmpose',
    'mmpose.apis': 'mmpose',
    'rpstn.pose': 'mmpose',
    'rpstn.simulation': 'mmpose',
    'mmaction.models': 'mmaction2',
    'mmaction.apis': 'mmaction2',
}
# What mends a failing import though the package is there: it was built for another PyTorch, or
# something that it asks for is not.
MEND_IMPORT = {
    'mmcv.ops': versions.INSTALL_MMCV,
    'mmdet.apis': versions.INSTALL_MMDET,
    'torchvision': 'pip uninstall -y torchvision  # or install the release that matches torch',
}


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        name: What was looked at.
        found: The version, or what importing it gave.
        supported: The versions that would do.
        state: 'ok', 'patched', 'absent' (and not needed), 'missing', 'unsupported' or 'failed'.
        mend: The command that mends it; empty where nothing is wrong or no command is known.
    """

    name: str
    found: str
    supported: str
    state: str
    mend: str = ''

    @property
    def wrong(self) -> bool:
        """Whether rpstn does not work, or not fully, because of this."""
        return self.state not in ('ok', 'patched', 'absent')


def find_version(name: str) -> str | None:
    """The version of an installed distribution, None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def examine_python() -> Finding:
    """Looks at the interpreter."""
    found = platform.python_version()
    if found in SpecifierSet(versions.PYTHON):
        return Finding('python', found, versions.PYTHON, 'ok')
    return Finding('python', found, versions.PYTHON, 'unsupported', 'make setup PYTHON=python3.11')


def examine_package(package: Package) -> Finding:
    """Looks whether a package is installed, in a version that is known to work."""
    installed = {name: found for name in package.names if (found := find_version(name))}
    if not installed:
        state = 'missing' if package.required else 'absent'
        mend = package.command if package.required else ''
        return Finding(package.names[0], '-', package.supported, state, mend)
    name, found = next(iter(installed.items()))
    if len(installed) > 1 and package.module == 'mmcv':
        # They install the same folder: the one installed last has overwritten the other.
        mend = 'pip uninstall -y mmcv mmcv-lite && pip install --no-deps mmcv-lite==2.1.0'
        return Finding(' and '.join(installed), found, 'one of them', 'unsupported', mend)
    if not SpecifierSet(package.supported).contains(found, prereleases=True):
        mend = package.command
        return Finding(name, found, package.supported, 'unsupported', mend)
    patched = package.module and any(
        patch.applied and module.partition('.')[0] == package.module
        for patch in patches()
        for module in patch.modules
    )
    return Finding(name, found, package.supported, 'patched' if patched else 'ok')


def examine_import(module: str) -> Finding:
    """Imports a module and tells what came of it, warnings included."""
    with warnings.catch_warnings(record=True) as caught:
        try:
            importlib.import_module(module)
        except Exception as error:  # the report is there to show any error whatever
            found = f'{type(error).__name__}: {error}'
            return Finding(f'import {module}', found, '', 'failed', MEND_IMPORT.get(module, ''))
    found = '; '.join(str(warning.message).partition('\n')[0] for warning in caught)
    return Finding(f'import {module}', found, '', 'ok')


def describe_device() -> str:
    """The device that PyTorch would compute on."""
    try:
        import torch
    except ImportError as error:
        return f'none ({error})'
    if torch.cuda.is_available():
        return f'cuda ({torch.cuda.get_device_name()})'
    return f'cpu ({torch.get_num_threads()} threads)'


def examine() -> list[Finding]:
    """Examines the interpreter, the packages and what can be imported."""
    # First, since it is by importing that patches are applied.
    imports = [examine_import(module) for module, name in IMPORTS.items() if find_version(name)]
    return [examine_python(), *map(examine_package, packages()), *imports]

"""`rpstn doctor`: what is installed, what is patched, what is wrong, and what mends it."""

import argparse
import importlib
import platform
import warnings
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from packaging.specifiers import SpecifierSet
from rich.console import Console
from rich.table import Table

from rpstn import compat
from rpstn.version import __version__

PYTHON = '>=3.10,<3.13'
# The one command that `pip install rpstn` cannot spare: see requirements/openmmlab.txt.
INSTALL_OPENMMLAB = (
    'pip install --no-deps mmengine==0.10.7 mmcv-lite==2.1.0 mmpose==1.3.2 '
    'mmaction2==1.2.0 xtcocotools==1.14.3 smplx==0.1.28'
)
STYLES = {'ok': 'green', 'patched': 'green', 'absent': 'dim'}


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


PACKAGES = (
    Package(('torch',), '>=2.6'),
    Package(('numpy',), '>=1.23,<2'),
    Package(('scipy',), '>=1.10'),
    Package(('scikit-learn',), '>=1.2'),
    Package(
        (
            'opencv-python-headless',
            'opencv-python',
            'opencv-contrib-python',
            'opencv-contrib-python-headless',
        ),
        '>=4.8,<4.12',
    ),
    Package(('pillow',), '>=9.4'),
    Package(('matplotlib',), '>=3.7'),
    Package(('rich',), '>=13'),
    Package(('tensorboard',), '>=2.15'),
    Package(('addict',), '>=2.4'),
    Package(('packaging',), '>=23'),
    Package(('pyyaml',), '>=6'),
    Package(('termcolor',), '>=2'),
    Package(('yapf',), '>=0.40'),
    Package(('json-tricks',), '>=3.16'),
    Package(('munkres',), '>=1.1.4'),
    Package(('einops',), '>=0.6'),
    Package(('mmengine',), '>=0.10,<0.11', True, 'mmengine', INSTALL_OPENMMLAB),
    Package(('mmcv-lite', 'mmcv'), '>=2.1,<2.2', True, 'mmcv', INSTALL_OPENMMLAB),
    Package(('mmpose',), '>=1.3,<1.4', True, 'mmpose', INSTALL_OPENMMLAB),
    Package(('xtcocotools',), '>=1.14', True, 'xtcocotools', INSTALL_OPENMMLAB),
    Package(('mmaction2',), '>=1.2,<1.3', False, 'mmaction', INSTALL_OPENMMLAB),
    Package(('mmdet',), '>=3.1,<3.4', False, mend=compat.INSTALL_MMDET),
    Package(('torchvision',), '', False),
    Package(('smplx',), '>=0.1.28', False, mend=INSTALL_OPENMMLAB),
    Package(('mediapipe',), '>=0.10,<0.11', False, mend='pip install --no-deps mediapipe==0.10.21'),
    Package(('onnxruntime',), '', False),
    Package(('openvino',), '', False),
)

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
    'mmcv.ops': compat.INSTALL_MMCV,
    'mmdet.apis': compat.INSTALL_MMDET,
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
    if found in SpecifierSet(PYTHON):
        return Finding('python', found, PYTHON, 'ok')
    return Finding('python', found, PYTHON, 'unsupported', 'make setup PYTHON=python3.11')


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
        for patch in compat.patches()
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
    return [examine_python(), *map(examine_package, PACKAGES), *imports]


def report(findings: list[Finding], console: Console) -> None:
    """Prints the findings, the patches, and the commands that mend what is wrong."""
    table = Table(title=f'rpstn {__version__} on {describe_device()}', title_justify='left')
    for header in ('package', 'found', 'supported', 'state'):
        table.add_column(header, overflow='fold')
    for finding in findings:
        style = STYLES.get(finding.state, 'bold red')
        table.add_row(finding.name, finding.found, finding.supported, finding.state, style=style)
    console.print(table)

    table = Table(title='patches', title_justify='left')
    for header in ('what', 'why', 'state'):
        table.add_column(header, overflow='fold')
    for patch in compat.patches():
        table.add_row(patch.name, patch.reason, 'patched' if patch.applied else '-')
    console.print(table)

    wrong = [finding for finding in findings if finding.wrong]
    if not wrong:
        console.print('Everything that rpstn needs is there.', style='green')
        return
    console.print(f'Wrong: {", ".join(finding.name for finding in wrong)}', style='bold red')
    # Each command once, as several packages may come by the same.
    for command in dict.fromkeys(finding.mend for finding in wrong if finding.mend):
        console.print(f'  {command}', markup=False, highlight=False, soft_wrap=True)


def run(_: argparse.Namespace) -> int:
    """The subcommand; returns its exit status, 1 where something is wrong."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    findings = examine()
    report(findings, console)
    return int(any(finding.wrong for finding in findings))


def add_parser(subparsers) -> None:
    """Adds the subcommand to the command line."""
    parser = subparsers.add_parser('doctor', help='check the installation', description=__doc__)
    parser.set_defaults(run=run)

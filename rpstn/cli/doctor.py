"""Tell what is installed, what is patched, what is wrong, and what mends it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from rpstn.version import __version__

from .options import Subparsers

if TYPE_CHECKING:
    from rich.console import Console

    from rpstn.compat.examination import Finding

STYLES = {'ok': 'green', 'patched': 'green', 'absent': 'dim'}


def add_parser(subparsers: Subparsers) -> None:
    """Adds the verb to the command line."""
    parser = subparsers.add_parser('doctor', help='check the installation', description=__doc__)
    parser.set_defaults(run=run, needs=())


def run(_: argparse.Namespace) -> int:
    """Examine; 1 where something is wrong."""
    from rich.console import Console

    from rpstn.compat.examination import examine

    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    findings = examine()
    report(findings, console)
    return int(any(finding.wrong for finding in findings))


def report(findings: list[Finding], console: Console) -> None:
    """Prints the findings, the patches, and the commands that mend what is wrong."""
    from rich.table import Table

    from rpstn.compat import patches
    from rpstn.compat.examination import describe_device

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
    for patch in patches():
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

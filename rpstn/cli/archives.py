"""What `rpstn infer` and `rpstn assess` have in common over archives: workers, storage, JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rpstn.errors import SettingError

from .options import count
from .printing import say

if TYPE_CHECKING:
    from rpstn.cluster.jobs import Job


def add_archive_options(parser: argparse.ArgumentParser) -> None:
    """``--workers``, ``--cluster`` and ``--json``."""
    add = parser.add_argument
    add(
        '--workers',
        type=count,
        metavar='N',
        help='an archive: so many videos at a time, each by a process with a model of its own '
        '(needs Ray); inputs and --out may be in storage (s3://, gs://; https:// to read), '
        'inputs in a list (@FILE)',
    )
    add(
        '--cluster',
        metavar='ADDRESS',
        help='an archive on a Ray cluster: HOST:PORT, or auto for the one of this machine',
    )
    add(
        '--json',
        action='store_true',
        help='of an archive: a line of JSON for each video, and one for all',
    )


def is_archive(args: argparse.Namespace) -> bool:
    """Whether an archive is asked for.

    Raises:
        SettingError: something that only archives have is, without one.
    """
    if args.workers or args.cluster:
        return True
    if args.json:
        raise SettingError('--json is of archives: add --workers or --cluster')
    if args.out and '://' in str(args.out):
        raise SettingError(f'{args.out}: storage is written by archives: add --workers 1')
    return False


def run_archive_command(args: argparse.Namespace, inputs: list[str], job: Job) -> int:
    """Do what is missing of an archive; 3 where there was nothing to assess in a video."""
    from rpstn.cluster.run import Archive, raise_errors, run_archive

    if args.out is None:
        raise SettingError('--out is needed, the folder of the results')

    def say_beside(line: str) -> None:
        say(line, sys.stderr)

    def tell(row: Mapping[str, Any]) -> None:
        say(json.dumps(dict(row), default=str))
        sys.stdout.flush()

    archive = Archive(inputs, str(args.out), args.workers, args.cluster, args.overwrite)
    if not args.json:
        summary = run_archive(job, archive, say)
        say(summary)
    else:
        summary = run_archive(job, archive, say_beside, tell)
        say(json.dumps({'summary': asdict(summary)}))
    raise_errors(summary)
    return 3 if summary.nothing else 0

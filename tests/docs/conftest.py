"""Commands of the pages, as a shell and the tools understand them."""

import argparse
import importlib.util
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rpstn.cli.main import build_parser
from rpstn.engine.configs import parse_settings

ROOT = Path(__file__).parents[2]


class Parsed(Exception):  # noqa: N818 (not an error)
    """Carries the arguments that a tool has understood."""


def _commands(page: str) -> Iterator[list[str]]:
    variables: dict[str, str] = {}
    for block in re.findall(r'```bash\n(.*?)```', page, re.DOTALL):
        for line in re.sub(r'\\\n\s*', '', block).splitlines():
            if given := re.match(r'for (\w+) in ([^\s;]+)', line) or re.fullmatch(
                r'(\w+)="?([^"]*)"?', line
            ):
                variables[given[1]] = given[2]
                continue
            for name, value in variables.items():
                line = line.replace(f'${name}', value)
            words = shlex.split(re.sub(r'\$\(.*?\)', 'FILE', line), comments=True)
            while words and re.fullmatch(r'\w+=\S+', words[0]):  # of the environment
                del words[0]
            if words and (words[0] in ('rpstn', 'python') or words[0].startswith('tools/')):
                yield words


def _settings(given: dict | list[str]) -> dict:
    return given if isinstance(given, dict) else parse_settings(given, '--cfg-options')


def _parsed(tool: str, arguments: list[str]) -> argparse.Namespace:
    spec = importlib.util.spec_from_file_location(Path(tool).stem, ROOT / tool)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    original = argparse.ArgumentParser.parse_args

    def stop(self, *args, **kwargs) -> None:
        raise Parsed(original(self, *args, **kwargs))

    environment = dict(os.environ)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, 'parse_args', stop)
        patch.setattr(sys, 'argv', [tool, *arguments])
        try:
            with pytest.raises(Parsed) as found:
                module.main()
        finally:
            os.environ.clear()
            os.environ.update(environment)
    return found.value.args[0]


@pytest.fixture(scope='session')
def commands() -> Callable[[str], Iterator[list[str]]]:
    """``commands(page)``: words of every command in order, of loops the first turn."""
    return _commands


@pytest.fixture(scope='session')
def parse() -> Callable[[list[str]], argparse.Namespace]:
    """``parse(words)``: what `rpstn` or a tool makes of a command; it goes no further.

    ``cfg_options``, where there are any, are a dict.
    """

    def parse_words(words: list[str]) -> argparse.Namespace:
        if words[0] == 'rpstn':
            args = build_parser().parse_args(words[1:])
        else:
            args = _parsed(words[1], words[2:])
        if hasattr(args, 'cfg_options'):
            args.cfg_options = _settings(args.cfg_options or {})
        return args

    return parse_words

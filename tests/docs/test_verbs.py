"""docs/cli: a page for each command, with each of its options, and no others."""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from rpstn.cli.main import build_parser

PAGES = Path(__file__).parents[2] / 'docs/cli'
PARSER = build_parser()
VERBS = next(
    action.choices for action in PARSER._actions if isinstance(action, argparse._SubParsersAction)
)
# | `--option` | what it does | default | example |
ROW = re.compile(r'^\| (`--[^|]*) \| ([^|]+) \| ([^|]+) \| `([^|]+)` \|$', re.MULTILINE)


def options(verb: str) -> list[argparse.Action]:
    return [action for action in VERBS[verb]._actions if action.option_strings[1:] != ['--help']]


def rows(verb: str) -> dict[str, tuple[str, str, str]]:
    """What the page says of each option: what it does, its default, an example."""
    found = {}
    for names, *cells in ROW.findall((PAGES / f'{verb}.md').read_text()):
        for name in re.findall(r'`(--[\w-]+)`', names):
            assert name not in found, f'{name} is there twice'
            found[name] = tuple(cells)
    return found


@pytest.mark.parametrize('verb', VERBS)
def test_the_page_lists_the_parsers_options(verb):
    listed = rows(verb)
    assert set(listed) == {name for action in options(verb) for name in action.option_strings}


@pytest.mark.parametrize('verb', VERBS)
def test_the_page_tells_defaults_and_choices(verb):
    listed = rows(verb)
    for action in options(verb):
        for name in action.option_strings:
            what, default, _ = listed[name]
            if action.default not in (None, False, argparse.SUPPRESS, [], {}):
                given = action.default
                words = ' '.join(given) if isinstance(given, list) else str(given)
                assert f'`{words}`' in default, f'{name}: the default is {words}'
            for choice in action.choices or ():
                assert f'`{choice}`' in what, f'{name}: {choice} is not named'


@pytest.mark.parametrize('verb', VERBS)
def test_every_example_is_understood_and_changes_something(verb):
    listed = rows(verb)
    given = ['x' for action in VERBS[verb]._actions if not action.option_strings]
    for action in options(verb):
        for name in action.option_strings:
            example = shlex.split(listed[name][2])
            assert example[0] in action.option_strings
            needed = [
                word
                for other in options(verb)
                if other.option_strings and other.required and other is not action
                for word in (other.option_strings[0], 'x')
            ]
            args = PARSER.parse_args([verb, *given, *needed, *example])
            assert getattr(args, action.dest) != action.default, example


def test_the_index_links_to_every_page():
    linked = re.findall(r'\[`rpstn (\w+)`\]\((\w+)\.md\)', (PAGES / 'index.md').read_text())
    assert all(verb == page for verb, page in linked)
    assert set(VERBS) <= {verb for verb, _ in linked}

"""README.md and docs/: commands are understood, code has names that exist, links lead somewhere."""

import argparse
import ast
import importlib
import os
import pydoc
import re
from pathlib import Path

import pytest

from rpstn.cli.main import build_parser

ROOT = Path(__file__).parents[2]
PAGES = ['README.md', *sorted(str(p.relative_to(ROOT)) for p in (ROOT / 'docs').rglob('*.md'))]


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding='utf-8')


def without_code(text: str) -> str:
    return re.sub(r'```.*?```', '', text, flags=re.DOTALL)


def anchors(text: str) -> set[str]:
    titles = re.findall(r'^#+ (.*)$', without_code(text), re.MULTILINE)
    return {re.sub(r'[^\w -]', '', title.lower()).replace(' ', '-') for title in titles}


def test_the_readme_is_short():
    assert len(read('README.md').splitlines()) <= 150


@pytest.mark.parametrize('page', PAGES)
def test_every_command_is_understood(page, commands, parse):
    for words in commands(read(page)):
        if words[0].startswith('tools/'):
            assert os.access(ROOT / words[0], os.X_OK), words
        elif words[0] == 'rpstn' or words[1].startswith('tools/'):
            parse(words)
        for word in words:
            if re.fullmatch(r'(?:configs|tools)/[\w./-]+', word):
                assert (ROOT / word).exists(), word


@pytest.mark.parametrize('page', PAGES)
def test_commands_in_sentences_have_these_options(page):
    verbs = next(
        action.choices
        for action in build_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    for verb, rest in re.findall(r'`rpstn (\w+)([^`]*)`', without_code(read(page))):
        for option in re.findall(r'--[\w-]+', rest):
            assert option in ('--help', *verbs[verb]._option_string_actions), (verb, option)


@pytest.mark.parametrize('page', PAGES)
def test_python_names_what_exists(page):
    for code in re.findall(r'```python\n(.*?)```', read(page), re.DOTALL):
        if '...' in code:  # with something left out
            continue
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and node.module.split('.')[0] == 'rpstn':
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names), code


@pytest.mark.parametrize('page', PAGES)
def test_objects_that_are_named_exist(page):
    for name in re.findall(r'`(rpstn(?:\.\w+)+)', read(page)):
        assert pydoc.locate(name) is not None, name


@pytest.mark.parametrize('page', PAGES)
def test_links_lead_somewhere(page):
    text = without_code(read(page))
    for target, anchor in re.findall(r'\]\((?![a-z]+:)([^)#\s]*)#?([^)]*)\)', text):
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path.read_text(encoding='utf-8')), f'{target}#{anchor}'


@pytest.mark.parametrize('page', PAGES)
def test_files_that_are_named_exist(page):
    for path in re.findall(r'`((?:rpstn|tests|tools|configs|docs)/[\w./-]+\.\w+)`', read(page)):
        assert (ROOT / path).is_file(), path
    assert not re.search(r'tools/infer\.py', read(page))


def test_the_first_page_lists_all_others():
    text = read('docs/index.md')
    for page in PAGES[1:]:
        name = page.removeprefix('docs/')
        assert name == 'index.md' or f']({name})' in text or re.match(r'cli/(?!index)', name), name

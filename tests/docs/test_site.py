"""The site: MkDocs builds it without a warning, and its pages load nothing from the network."""

import importlib.util
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

for package in ('mkdocs', 'material', 'mkdocstrings'):
    pytest.importorskip(package, reason='`make test-docs` installs it')

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.docs, pytest.mark.slow]


@pytest.fixture(scope='module')
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('site')
    command = [sys.executable, '-m', 'mkdocs', 'build', '--strict', '--site-dir', str(folder)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return folder


@pytest.fixture(scope='module')
def hooks():
    spec = importlib.util.spec_from_file_location('hooks', ROOT / 'docs/hooks.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Assets(HTMLParser):
    """Collects what a page loads, as opposed to what it links to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [
            value or ''
            for name, value in attrs
            if name in ('src', 'srcset', 'data', 'style') or (tag == 'link' and name == 'href')
        ]


def test_every_page_is_built(site):
    pages = {p.relative_to(ROOT / 'docs').with_suffix('') for p in (ROOT / 'docs').rglob('*.md')}
    built = {path.relative_to(site).with_suffix('') for path in site.rglob('*.html')}
    assert pages == built - {Path('404')}
    assert not list(site.rglob('*.py'))


def test_nothing_comes_from_the_network(site):
    for path in site.rglob('*.html'):
        assets = Assets()
        assets.feed(path.read_text(encoding='utf-8'))
        assert assets.found
        assert not [asset for asset in assets.found if re.search(r'(?:https?:)?//', asset)], path
    for path in site.rglob('*.css'):
        assert not re.search(r'(?:url\(|@import)\s*["\']?(?:https?:)?//', path.read_text()), path
    # Drawn by a script that the theme would fetch.
    assert not any('class="mermaid"' in path.read_text() for path in site.rglob('*.html'))


def test_the_reference_has_the_public_api(site):
    import rpstn.apis
    import rpstn.form
    import rpstn.lift
    import rpstn.pose

    html = ''.join(path.read_text(encoding='utf-8') for path in (site / 'api').glob('*.html'))
    for room in (rpstn.apis, rpstn.pose, rpstn.form, rpstn.lift):
        for name in room.__all__:
            if name not in ('datasets', 'transforms', 'SKELETONS'):
                assert re.search(rf'id="[\w.]+\.{name}"', html), name
    assert 'id="rpstn.engine.shipped.from_pretrained"' in html
    assert 'id="rpstn.deploy.export.export_model"' in html
    assert 'id="rpstn.deploy.engines.build_stepper"' in html
    assert not re.search(r':(?:class|func|meth|mod|data|attr):<', html)
    assert '<em>' not in html  # formulas with underscores and stars are left as they are


@pytest.mark.parametrize(
    ('text', 'named', 'linked'),
    [
        ('[export.md](export.md#engines)', None, None),
        ('[paper](https://arxiv.org/abs/2107.03591)', None, None),
        ('[nothing](../../rpstn/nothing.py)', None, None),
        ('```\n[a](../../setup.py)\n```', None, None),
        ('[setup.py](../../setup.py)', '`setup.py`', '[setup.py](https://x.org/r/setup.py)'),
        (
            '[the set-up](../../setup.py)',
            'the set-up (`setup.py`)',
            '[the set-up](https://x.org/r/setup.py)',
        ),
        (
            '[`main.py`](../../rpstn/cli/main.py#L9) here',
            '`rpstn/cli/main.py` here',
            '[`main.py`](https://x.org/r/rpstn/cli/main.py#L9) here',
        ),
    ],
)
def test_links_out_of_the_pages(hooks, text, named, linked):
    assert hooks.rewrite_links(text, 'cli/export.md', ROOT, '') == (named or text)
    assert hooks.rewrite_links(text, 'cli/export.md', ROOT, 'https://x.org/r/') == (linked or text)

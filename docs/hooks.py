"""Hooks of MkDocs: links into the repository, and formulas and roles in docstrings.

A link that leaves docs/, such as ``[head.py](../rpstn/pose/models/head.py)``, works where the pages
are read in the repository. In the site it goes to ``extra.source_url`` of mkdocs.yml, or, where
that is empty, becomes the name of the file. A link to what does not exist is left alone, and so
ends a strict build.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from markdown import Extension, Markdown
from markdown.inlinepatterns import SimpleTextInlineProcessor

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

FENCED = re.compile(r'(^ *```.*?^ *```)', re.MULTILINE | re.DOTALL)
LINK = re.compile(r'(?<!!)\[([^\]]+)\]\(([^)#\s]+)(#[^)\s]*)?\)')
# A role of Sphinx, before the code that Markdown has made of its text.
ROLE = re.compile(r':(?:attr|class|data|func|meth|mod):<code>~?')


class Formulas(Extension):
    """Leaves formulas as they are written: in M_t, B*T and k (*) f no mark is for emphasis.

    Emphasis is written with stars around words.
    """

    def extendMarkdown(self, md: Markdown) -> None:
        literal = SimpleTextInlineProcessor(r'(_+|(?<=\w)\*(?=\w)|(?<=\()\*(?=\)))')
        md.inlinePatterns.register(literal, 'formula', 65)  # before emphasis, behind code and links


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Adds our Markdown to that of mkdocs.yml."""
    config.markdown_extensions.append(Formulas())
    return config


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrites the links of a page that leave docs/."""
    root = Path(config.config_file_path).parent
    return rewrite_links(markdown, page.file.src_uri, root, config.extra['source_url'])


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leaves out what docstrings have of Sphinx and Markdown does not know: roles, ``::``."""
    return ROLE.sub('<code>', html).replace('::</p>', ':</p>')


def rewrite_links(markdown: str, page: str, root: Path, source_url: str) -> str:
    """The text of a page, its links out of docs/ made to fit the site.

    Args:
        markdown: The text; code blocks are left alone.
        page: The page's path below docs/.
        root: The repository.
        source_url: Where the repository can be read, empty where nowhere.
    """

    def rewrite(link: re.Match[str]) -> str:
        text, target, anchor = link.groups()
        path = posixpath.normpath(posixpath.join('docs', posixpath.dirname(page), target))
        outside = '://' not in target and not path.startswith(('docs/', '../', '/'))
        if not outside or not (root / path).exists():
            return link[0]
        if source_url:
            return f'[{text}]({source_url.rstrip("/")}/{path}{anchor or ""})'
        name = text.strip('`').rstrip('/')
        return f'`{path}`' if path.endswith(name) else f'{text} (`{path}`)'

    parts = FENCED.split(markdown)  # every second one is a code block
    parts[::2] = [LINK.sub(rewrite, part) for part in parts[::2]]
    return ''.join(parts)

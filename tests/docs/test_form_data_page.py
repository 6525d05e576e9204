"""docs/form_data.md: its example, taken out of the page, gives what the page says."""

import re
import runpy
import shlex
from pathlib import Path

import pytest

from rpstn.form.datasets.converters.skeleton_files import LABEL_SEPARATOR

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs/form_data.md').read_text()


def test_the_example_does_what_the_page_says(tmp_path, monkeypatch, capsys):
    files = dict(re.findall(r'`(own/\w+\.py)`\n\n```python\n(.*?)```', PAGE, re.S))
    commands = re.search(r'```bash\n(python own.*?)```', PAGE, re.S)[1].splitlines()
    said = re.search(r'says\n\n```\n(.*?)```', PAGE, re.S)[1]
    assert list(files) == ['own/write_squats.py', 'own/read_squats.py'] and len(commands) == 2
    (tmp_path / 'own').mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / 'tools').symlink_to(ROOT / 'tools')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('RPSTN_DATA', raising=False)
    for command in commands:
        python, *arguments = shlex.split(command)
        assert python == 'python'
        monkeypatch.setattr('sys.argv', arguments)
        runpy.run_path(arguments[0], run_name='__main__')
    assert capsys.readouterr().out == said
    runpy.run_path('own/read_squats.py', run_name='__main__')
    last = capsys.readouterr().out.splitlines()[-1]
    assert re.fullmatch(r'6 deep/\d\d 0 \(1, 60, 17, 3\)', last), last


@pytest.mark.parametrize('option', sorted(set(re.findall(r'`(--[a-z-]+)', PAGE))))
def test_every_option_the_page_names_exists(option):
    assert f"'{option}'" in (ROOT / 'tools/data/convert_skeletons.py').read_text()


def test_what_the_page_names_exists():
    assert f'`deep{LABEL_SEPARATOR}slow`' in PAGE
    import rpstn.form.datasets.converters as converters

    last = PAGE.rstrip().rpartition('\n\n')[2]
    names = re.findall(r'`(\w+)`', last)
    assert len(names) == 3 and all(hasattr(converters, name) for name in names)

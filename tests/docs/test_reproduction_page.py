"""docs/reproduction.md: every command on it is understood, every config on it loads and builds."""

import argparse
import importlib.util
import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpose.registry import DATASETS, METRICS, MODELS

from rpstn.cli.main import VERBS, main
from rpstn.engine.configs import parse_settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs/reproduction.md').read_text()
CONFIGS = sorted(set(re.findall(r'configs/[\w/]+\.py', PAGE)))
# The authors' file, and what is converted from it.
GIVEN = {'RELEASED.pth', 'released/penn.py', 'released/penn.pth'}


def commands() -> Iterator[list[str]]:
    """The arguments of every command, loops unrolled, in the order of the page."""
    for block in re.findall(r'```bash\n(.*?)```', PAGE, re.DOTALL):
        lines = re.sub(r'\\\n\s*', '', block).splitlines()
        values: list[tuple[str, str]] = [('', '')]
        for line in lines:
            loop = re.fullmatch(r'for (\w+) in (.*); do', line)
            if loop:
                values = [(loop[1], value) for value in loop[2].split()]
            elif line == 'done':
                values = [('', '')]
            else:
                for name, value in values:
                    yield shlex.split(
                        line.replace(f'${name}', value) if name else line, comments=True
                    )


class Parsed(Exception):  # noqa: N818 (not an error)
    """Carries the arguments that a tool has understood."""


def parsed(tool: str, arguments: list[str], monkeypatch) -> argparse.Namespace:
    """What the tool makes of a command line; it goes no further."""
    spec = importlib.util.spec_from_file_location(Path(tool).stem, ROOT / tool)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    verb = Path(tool).stem
    original = argparse.ArgumentParser.parse_args

    def stop(self, *args, **kwargs) -> None:
        raise Parsed(original(self, *args, **kwargs))

    monkeypatch.setattr(argparse.ArgumentParser, 'parse_args', stop)
    monkeypatch.setattr(sys, 'argv', [tool, *arguments])
    environment = dict(os.environ)
    try:
        with pytest.raises(Parsed) as found:
            main([verb, *arguments]) if verb in VERBS else module.main()
    finally:
        monkeypatch.setattr(argparse.ArgumentParser, 'parse_args', original)
        os.environ.clear()
        os.environ.update(environment)
    return found.value.args[0]


def build(config: Config) -> None:
    """Build the model, without memory for its weights, and look up the rest by name."""
    scope = DefaultScope.overwrite_default_scope(config.get('default_scope', 'mmpose'))
    with torch.device('meta'), scope:
        MODELS.build(config.model)
        for part in ('train', 'test'):
            assert DATASETS.get(config[f'{part}_dataloader'].dataset.type) is not None
        metrics = config.test_evaluator
        for metric in metrics.get('metrics', [metrics]):
            assert METRICS.get(metric.type) is not None


def test_every_command_is_understood_and_finds_what_those_before_it_wrote(tmp_path, monkeypatch):
    """Configs are loaded with the options; checkpoints must be written by an earlier training."""
    monkeypatch.chdir(tmp_path)
    for folder in ('configs', 'tools'):
        (tmp_path / folder).symlink_to(ROOT / folder)
    written, used = set(GIVEN), set()
    for python, tool, *arguments in commands():
        assert python == 'python' and (ROOT / tool).is_file(), tool
        used.add(tool)
        args = parsed(tool, arguments, monkeypatch)
        path = getattr(args, 'config', None)
        if tool == 'tools/research/ablate.py' and args.dump:
            # Done for real: the configs it writes are used below.
            spec = importlib.util.spec_from_file_location('ablate', ROOT / tool)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            monkeypatch.setattr(sys, 'argv', [tool, *arguments])
            module.main()
            continue
        if path is None or path in GIVEN:
            assert {
                str(getattr(args, key))
                for key in ('released', 'config', 'checkpoint')
                if hasattr(args, key)
            } <= GIVEN
            continue
        config = Config.fromfile(path)
        config.merge_from_dict(parse_settings(args.cfg_options, '--cfg-options'))
        needed = [*getattr(args, 'checkpoints', [])]
        needed += [args.checkpoint] if hasattr(args, 'checkpoint') else []
        needed += [
            value
            for value in parse_settings(args.cfg_options or [], '--cfg-options').values()
            if str(value).startswith('work_dirs/')
        ]
        assert set(needed) <= written, (path, needed)
        if tool == 'tools/train.py':
            work_dir = args.work_dir or f'work_dirs/{Path(path).stem}'
            written.add(f'{work_dir}/epoch_{config.train_cfg.max_epochs}.pth')
            if args.cfg_options and 'load_from' not in args.cfg_options:
                build(config)
    assert {Path(tool).stem for tool in used} >= {
        name for name in ('train', 'test', 'ablate', 'convert_checkpoint', 'average_splits')
    }


def test_the_legacy_figure_is_asked_for_in_place_of_the_standard(monkeypatch):
    (command,) = (c for c in commands() if 'LegacyPCK' in ' '.join(c))
    args = parsed(command[1], command[2:], monkeypatch)
    config = Config.fromfile(ROOT / 'configs/released_penn.py')
    config.merge_from_dict(parse_settings(args.cfg_options, '--cfg-options'))
    with DefaultScope.overwrite_default_scope('mmpose'):
        (metric,) = (METRICS.build(m) for m in config.test_evaluator.metrics)
        assert type(metric).__name__ == 'LegacyPCK' and metric.thr == 0.2
        assert MODELS.build(config.model).test_cfg['output_heatmaps'] is True


@pytest.mark.parametrize('path', CONFIGS)
def test_every_config_named_on_the_page_loads_and_builds(path):
    config = Config.fromfile(ROOT / path)
    if '_base_' not in path:
        build(config)


def test_the_ablations_of_the_page_are_all_there_are():
    named = {Path(path).name for path in CONFIGS if path.startswith('configs/ablations/')}
    assert named == {path.name for path in (ROOT / 'configs/ablations').glob('*.py')}


def test_links_and_files_exist():
    for target in re.findall(r'\]\((?!http)([^)#]*)(?:#[^)]*)?\)', PAGE):
        assert not target or (ROOT / 'docs' / target).exists(), target
    for path in re.findall(r'`((?:rpstn|tests|tools|configs)/[\w/]+\.\w+)`', PAGE):
        assert (ROOT / path).is_file(), path


def test_a_swap_is_written_as_the_page_has_it():
    (line,) = re.findall(r'`(custom_hooks = .*?)`', PAGE)
    (hook,) = Config.fromstring(line, '.py').custom_hooks
    with DefaultScope.overwrite_default_scope('mmpose'):
        from mmpose.registry import HOOKS

        assert HOOKS.build(hook).epoch == 50
        # And what the page says of the others.
        assert HOOKS.build(dict(type='RelationSwapHook', patience=5)).patience == 5
        assert HOOKS.build(dict(hook, keep=None)).keep is None


def test_the_papers_figures_are_those_of_its_columns():
    """Means of the columns, weighted by their joints, agree with the means beside them."""
    rows = re.findall(r'^\| RPSTN, ResNet-\d+ \|[^|]*\|(.*?)\| not run \|$', PAGE, re.MULTILINE)
    full = [[float(cell) for cell in row.split('|')] for row in rows if row.count('|') == 7]
    assert len(full) == 2
    for *columns, mean in full:
        joints = (1, 2, 2, 2, 2, 2, 2)
        weighted = sum(n * figure for n, figure in zip(joints, columns, strict=True)) / 13
        # The paper rounds its columns.
        assert weighted == pytest.approx(mean, abs=0.15)

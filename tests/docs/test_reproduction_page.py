"""docs/reproduction.md: every command on it is understood, every config on it loads and builds."""

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpose.registry import DATASETS, METRICS, MODELS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs/reproduction.md').read_text()
CONFIGS = sorted(set(re.findall(r'configs/[\w/]+\.py', PAGE)))
# The authors' file, and what is converted from it.
GIVEN = {'RELEASED.pth', 'released/penn.py', 'released/penn.pth'}


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


def test_every_command_finds_what_those_before_it_wrote(tmp_path, monkeypatch, commands, parse):
    """Configs are loaded with the options; checkpoints must be written by an earlier training."""
    monkeypatch.chdir(tmp_path)
    for folder in ('configs', 'tools'):
        (tmp_path / folder).symlink_to(ROOT / folder)
    written, used = set(GIVEN), set()
    for words in commands(PAGE):
        used.add(words[1])
        args = parse(words)
        path = getattr(args, 'config', None)
        if path is None or path in GIVEN:
            assert {
                str(getattr(args, key))
                for key in ('released', 'config', 'checkpoint')
                if hasattr(args, key)
            } <= GIVEN
            continue
        config = Config.fromfile(path)
        config.merge_from_dict(args.cfg_options)
        needed = [args.checkpoint] if hasattr(args, 'checkpoint') else []
        needed += [
            value for value in args.cfg_options.values() if str(value).startswith('work_dirs/')
        ]
        assert set(needed) <= written, (path, needed)
        if words[:2] == ['rpstn', 'train']:
            work_dir = args.work_dir or f'work_dirs/{Path(path).stem}'
            written.add(f'{work_dir}/epoch_{config.train_cfg.max_epochs}.pth')
            if args.cfg_options and 'load_from' not in args.cfg_options:
                build(config)
    assert used >= {'train', 'test', 'tools/data/convert_checkpoint.py'}


def test_the_legacy_figure_is_asked_for_in_place_of_the_standard(commands, parse):
    (command,) = (words for words in commands(PAGE) if 'LegacyPCK' in ' '.join(words))
    args = parse(command)
    config = Config.fromfile(ROOT / 'configs/released_penn.py')
    config.merge_from_dict(args.cfg_options)
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

"""Test a checkpoint with an MMPose or MMAction2 config.

python tools/test.py configs/rpstn_jhmdb.py work_dirs/rpstn_jhmdb/best_*.pth --show-dir drawn
"""

import argparse
from pathlib import Path

import mmengine
from mmengine.config import Config
from mmengine.dist import master_only
from mmengine.hooks import Hook

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)
from rpstn.engine.runner import add_common_arguments, build_runner, load_config


class SaveMetricsHook(Hook):
    """Write the figures of the test to a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    @master_only
    def after_test_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """Write them."""
        if metrics is not None:
            mmengine.dump(metrics, self.path)


def add_metric(cfg: Config, metric: dict) -> None:
    """One more metric for the test, in whichever form the config gives its evaluator."""
    evaluator = cfg.test_evaluator
    if isinstance(evaluator, dict) and 'metrics' in evaluator:
        evaluator.metrics = [*evaluator.metrics, metric]
    else:
        given = evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]
        cfg.test_evaluator = [*given, metric]


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', help='file for the figures, .json, .yaml or .pkl')
    parser.add_argument('--dump', help='file for the predictions, .pkl')
    add_common_arguments(parser)
    args = parser.parse_args()
    # Now, not after the test.
    for option, allowed in (('out', ('.json', '.yaml', '.yml', '.pkl')), ('dump', ('.pkl',))):
        path = getattr(args, option)
        if path is not None and Path(path).suffix not in allowed:
            parser.error(f'--{option} {path}: must end in {" or ".join(allowed)}')
    if '://' not in args.checkpoint and not Path(args.checkpoint).is_file():
        parser.error(f'{args.checkpoint}: no such checkpoint file')
    return args


def main() -> None:
    """Test."""
    args = parse_args()
    cfg = load_config(args)
    cfg.load_from = args.checkpoint
    if args.dump is not None:
        add_metric(cfg, dict(type='DumpResults', out_file_path=args.dump))
    runner = build_runner(cfg)
    if args.out is not None:
        runner.register_hook(SaveMetricsHook(args.out), 'LOWEST')
    runner.test()


if __name__ == '__main__':
    main()

"""How sharp the joint relation W_r of JRE is while RPSTN learns: a table by training step.

    python tools/research/relation/entropy_by_step.py

Trains two small RPSTN from nothing on synthetic clips: the paper's network, and it with the norms
and the layout of the released code. Of RPSTN-Lite, whose data is not at hand everywhere, it shows
the weights as shipped and, with ``--single``, the start of that training, on a video. The table
goes between two markers of a page.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

import rpstn  # noqa: F401 (before MMPose: makes the OpenMMLab stack work)
from rpstn.engine.configs import read_config
from rpstn.engine.loading import load_model
from rpstn.engine.shipped import shipped_files
from rpstn.files import write_text
from rpstn.tables import format_table
from rpstn.video.frames import open_frames

from relation_summary import own_share, row_entropy
from relations import find_relation, relate_video

from mmpose.registry import MODELS  # isort: skip

ROOT = Path(__file__).parents[3]
BEGIN, END = '<!-- entropy by step -->', '<!-- /entropy by step -->'
STEPS = (0, 1, 3, 10, 30, 60)
VARIANTS: dict[str, dict] = {
    'paper': {},
    'released': {
        'model.head.norms': 'shared',
        'model.head.relation.layout': 'released',
        'model.head.propagator.norms': 'shared',
    },
}
# Of frames: how even rows are, and how much of them is the joint itself.
Sharpness = tuple[float, float]


def sharpness(relations: Sequence[np.ndarray]) -> Sharpness:
    """Mean row entropy, 0 one joint to 1 uniform, and mean own share of matrices (..., K, K)."""
    stacked = np.stack(relations)
    return float(row_entropy(stacked).mean()), float(own_share(stacked).mean())


class Watch:
    """Keeps W_r of the frames of a clip that a model in training computes, in order.

    Args:
        model: a :class:`VideoPoseEstimator` with one JRE.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self.seen: list[np.ndarray] = []
        find_relation(model).register_forward_hook(self._keep)

    def _keep(self, jre: torch.nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        with torch.no_grad():
            self.seen.append(jre.relation(inputs[0]).float().numpy())

    def take(self) -> tuple[Sharpness, Sharpness]:
        """Of first frames and of the others since the last call."""
        first, *others = self.seen
        self.seen = []
        return sharpness([first]), sharpness(others)


def train(options: dict, steps: int, batch_size: int) -> dict[int, tuple[Sharpness, Sharpness]]:
    """Sharpness by training step, before the step, of a small RPSTN on synthetic clips."""
    cfg = Config.fromfile(ROOT / 'configs/rpstn_demo.py')
    cfg.merge_from_dict(options)
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    loader = cfg.train_dataloader
    loader.update(batch_size=batch_size, num_workers=0, persistent_workers=False)
    loader.dataset.num_sequences = 64
    batches = Runner.build_dataloader(loader, seed=0)
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    watch, found = Watch(model), {}
    model.train()
    for step, batch in enumerate(islice(cycle(batches), steps + 1)):
        model.train_step(batch, optimizer)
        found[step] = watch.take()
    return found


def of_video(config: Config, checkpoint: Path, video: Path) -> tuple[Sharpness, Sharpness]:
    """Sharpness of the JRE of a model on a video: of its first frame and of the others."""
    frames = relate_video(load_model(config, checkpoint), open_frames(video), which='JRE')
    first, *others = (frame.relation for frame in frames)
    return sharpness([first]), sharpness(others)


def start_of_lite(single: Path, folder: Path) -> tuple[Config, Path]:
    """Config and weights of RPSTN-Lite before its training, from its single-frame model."""
    config = read_config(ROOT / 'configs/lite/rpstn_lite.py')
    config.model.backbone.pretrained.checkpoint = str(single)
    config.model.head.propagator.pretrained = str(single)
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    torch.save(dict(state_dict=model.state_dict()), folder / 'start.pth')
    return config, folder / 'start.pth'


def cells(found: tuple[Sharpness, Sharpness]) -> list[str]:
    """Of first frames and of others: entropy, and percent on the joint itself."""
    return [f'{entropy:.2f} ({100 * own:.0f} %)' for entropy, own in found]


def write_between(page: Path, text: str) -> None:
    """Put the text between the page's two markers."""
    before, begin, rest = page.read_text(encoding='utf-8').partition(BEGIN)
    _, end, after = rest.partition(END)
    write_text(page, f'{before}{begin}\n{text}\n{end}{after}')


def parse_args() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--steps', type=int, default=STEPS[-1], help='of training (default: %(default)s)')
    add('--batch-size', type=int, default=4, help='clips (default: %(default)s)')
    add('--single', type=Path, help='checkpoint that RPSTN-Lite started from, see training_lite.md')
    add('--video', type=Path, default=ROOT / 'demo/squat.mp4', help='(default: %(default)s)')
    add('--page', type=Path, default=ROOT / 'docs/rpstn.md', help='(default: %(default)s)')
    args = parser.parse_args()
    if not args.page.is_file() or BEGIN not in args.page.read_text(encoding='utf-8'):
        parser.error(f'--page {args.page}: has no line {BEGIN}')
    return args


def main() -> None:
    """Train, measure, write."""
    args = parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.INFO)  # MMEngine tells of every weight
    trained = {
        name: train(options, args.steps, args.batch_size) for name, options in VARIANTS.items()
    }
    header = ['before step', *(f'{name}: {f}' for name in VARIANTS for f in ('frame 1', 'others'))]
    rows = [
        [step + 1, *(cell for found in trained.values() for cell in cells(found[step]))]
        for step in sorted({*(s for s in STEPS if s < args.steps), args.steps})
    ]
    small = format_table(header, rows)
    rows = [['as shipped', *cells(of_video(*shipped_files('lite'), args.video))]]
    if args.single is not None:
        with tempfile.TemporaryDirectory() as folder:
            start = start_of_lite(args.single, Path(folder))
            rows.insert(0, ['before its training', *cells(of_video(*start, args.video))])
    lite = format_table(['RPSTN-Lite', 'frame 1', 'others'], rows)
    write_between(args.page, f'\n{small}\n\n{lite}\n')
    print(f'{small}\n\n{lite}')


if __name__ == '__main__':
    main()

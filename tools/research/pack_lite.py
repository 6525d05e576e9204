r"""Pack a trained model to be shipped with the package.

python tools/research/pack_lite.py configs/lite/rpstn_lite_readout.py \
    work_dirs/rpstn_lite/placed.pth

writes rpstn/engine/weights/lite.pt, which loads safely, and lite.json with its config and sha256;
rpstn.engine.shipped.from_pretrained('lite') loads them.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from mmengine.config import Config

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)
from rpstn.checkpoints import ModelError
from rpstn.engine.loading import read_model
from rpstn.engine.shipped import FOLDER, FORMAT, from_pretrained
from rpstn.files import replacing, sha256, write_text

LARGEST_MB = 15.0


def pack(
    config: str | Path | Config,
    checkpoint: str | Path,
    name: str = 'lite',
    folder: Path = FOLDER,
    about: dict | None = None,
    largest_mb: float = LARGEST_MB,
) -> tuple[Path, Path]:
    """Write a model's two files, once both load and fit.

    What is exact in half precision, as BlazePose's weights are, which were released so, is stored
    so; all else as it was trained.

    Args:
        config: of the checkpoint.
        checkpoint: of MMEngine; of averaged weights, if it was trained so.
        name: what the model is called.
        folder: where to.
        about: facts for the description, e.g. of its training; plain values.
        largest_mb: in millions of bytes.

    Returns:
        The description's and the weights' path.

    Raises:
        ModelError: the checkpoint does not fit the config, or is too large.
    """
    config = config if isinstance(config, Config) else Config.fromfile(config)
    model = read_model(config, checkpoint)[0].eval()
    weights = {
        key: _short(value)
        for key, value in model.state_dict().items()
        if not key.startswith('data_preprocessor.')
    }
    description, target = folder / f'{name}.json', folder / f'{name}.pt'
    with replacing(target) as partial:
        with open(partial, 'wb') as file:  # by its name PyTorch does not say what is wrong
            torch.save(dict(state_dict=weights), file)
        size = partial.stat().st_size
        if size > largest_mb * 1e6:
            raise ModelError(
                f'{checkpoint}: {size / 1e6:.1f} MB packed, at most {largest_mb} MB may be shipped'
            )
        text = (
            json.dumps(
                dict(
                    format=FORMAT,
                    name=name,
                    sha256=sha256(partial),
                    bytes=size,
                    parameters=sum(
                        value.numel()
                        for key, value in weights.items()
                        if not key.endswith(('running_mean', 'running_var', 'num_batches_tracked'))
                    ),
                    about=about or {},
                    config=_inference_config(config),
                ),
                indent=1,
            )
            + '\n'
        )
    write_text(description, text)
    return description, target


def _short(value: torch.Tensor) -> torch.Tensor:
    """In half precision where nothing is lost by it.

    Averaging weights moves the last digits of those that are frozen, by far less than half
    precision's steps.
    """
    if value.is_floating_point():
        half = value.half()
        value = half if torch.allclose(half.to(value.dtype), value, rtol=1e-4, atol=1e-7) else value
    return value.clone()  # a view would be saved with all of the storage it looks into


def _inference_config(config: Config) -> dict:
    """What prediction needs of a config, as plain values: no weights to start from, no training."""
    given = config.to_dict()
    dataset = given['test_dataloader']['dataset']
    kept = {
        key: dataset[key] for key in ('type', 'pipeline', 'clip_len', 'metainfo') if key in dataset
    }
    model = {key: value for key, value in given['model'].items() if key != 'train_cfg'}
    return json.loads(
        json.dumps(
            dict(
                default_scope='mmpose', model=_untrained(model), test_dataloader=dict(dataset=kept)
            )
        )
    )


def _untrained(node):
    """Without the weights that training starts from."""
    if isinstance(node, dict):
        return {
            key: None if key in ('init_cfg', 'pretrained') else _untrained(value)
            for key, value in node.items()
        }
    return [_untrained(value) for value in node] if isinstance(node, (list, tuple)) else node


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--name', default='lite', help='(default: %(default)s)')
    parser.add_argument('--out', type=Path, default=FOLDER, help='(default: rpstn/engine/weights)')
    parser.add_argument(
        '--about',
        nargs='*',
        default=[],
        metavar='KEY=TEXT',
        help='facts for the description, e.g. torso_pck=66.0',
    )
    parser.add_argument(
        '--largest-mb', type=float, default=LARGEST_MB, help='refuse more (default: %(default)s)'
    )
    args = parser.parse_args()
    for fact in args.about:
        if '=' not in fact:
            parser.error(f'--about {fact}: must be KEY=TEXT')
    return args


def main() -> int:
    """Packs, loads what was packed, and returns the exit status."""
    args = parse_args()
    about = dict(fact.split('=', 1) for fact in args.about)
    try:
        if not Path(args.config).is_file():
            raise ModelError(f'{args.config}: no such config file')
        description, weights = pack(
            args.config, args.checkpoint, args.name, args.out, about, args.largest_mb
        )
        from_pretrained(args.name, folder=args.out)
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    print(f'{weights}: {weights.stat().st_size / 1e6:.1f} MB; {description}')
    return 0


if __name__ == '__main__':
    sys.exit(main())

"""Convert the weights that the authors of RPSTN released.

    python tools/data/convert_checkpoint.py RELEASED.pth OUT.pth

Finds the depths of P and F, the joints and the variant in the file, and writes OUT.pth and, beside
it, OUT.py, a complete config that needs no other file, so both can be moved together:

    python tools/test.py OUT.py OUT.pth
    rpstn infer OUT.py OUT.pth squat.mp4 --out drawn

Both appear when OUT.py has built a model that takes all of OUT.pth and nothing else; what was there
before stays until then. configs/_base_/released.py tells how that network differs from the paper,
and what its input is; that the colours are RGB is an assumption.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import mmengine
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

import rpstn  # noqa: F401 (before MMPose: makes the OpenMMLab stack work)

from mmpose.apis.inference import dataset_meta_from_config  # isort: skip
from mmpose.registry import MODELS  # isort: skip
from rpstn.checkpoints import ModelError
from rpstn.engine.loading import load_model
from rpstn.files import staging
from rpstn.pose.models.released import (
    VARIANTS,
    ReleasedNetwork,
    ReleasedWeightsError,
    convert_weights,
    inspect_released,
    released_weights,
)

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
MARK = '# Converted from'


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('released', type=Path, help='checkpoint of the authors')
    parser.add_argument('out', type=Path, help='file of the result, .pth')
    parser.add_argument(
        '--variant',
        choices=list(VARIANTS.values()),
        help="the network's, in place of that of its joints; jhmdb norms once more",
    )
    args = parser.parse_args(args)
    if args.out.suffix != '.pth':
        parser.error(f'{args.out}: must end in .pth')
    return args


def read(path: Path) -> object:
    """What a checkpoint file holds; nothing in it is executed."""
    try:
        return torch.load(path, map_location='cpu', weights_only=True)
    except FileNotFoundError:
        raise ReleasedWeightsError('no such checkpoint file') from None
    except Exception as error:  # a damaged file can raise nearly anything
        raise ReleasedWeightsError(
            'damaged, or not a checkpoint that can be loaded safely (a '
            f'state dict can), {type(error).__name__}'
        ) from None


def header(released: Path, network: ReleasedNetwork) -> str:
    """The comment on top of the config."""
    return (
        f'{MARK} {released.name!r}: P is a ResNet-{network.initializer_depth}, F a '
        f'ResNet-{network.encoder_depth}, variant {network.variant}.\n'
        "# As released, not as in the paper: head.norms, relation.layout='released', "
        'propagator.norms,\n# propagator.norm_filtered; RGB in [0, 1], boxes stretched with '
        'no margin.\n'
    )


def convert(released: Path, out: Path, variant: str | None = None) -> str:
    """Write ``out`` and its config; returns what to tell the user.

    Raises:
        ReleasedWeightsError, ModelError, OSError: nothing was written.
    """
    config_file = out.with_suffix('.py')
    if out.exists() and out.samefile(released):
        raise OSError(f'{out}: would overwrite the input')
    if config_file.exists() and not config_file.read_text(encoding='utf-8').startswith(MARK):
        raise OSError(f'{config_file}: exists, and is not of this tool; choose another OUT.pth')
    weights = released_weights(read(released))
    network = inspect_released(weights, variant)
    config = Config.fromfile(CONFIGS / network.config)
    config.merge_from_dict(network.options)
    init_default_scope('mmpose')
    state, unused = convert_weights(weights, MODELS.build(config.model))
    meta = dict(
        dataset_meta=dataset_meta_from_config(config, 'test'),
        released=released.name,
        unused=unused,
        rpstn_version=rpstn.__version__,
        mmengine_version=mmengine.__version__,
    )
    with staging(out.parent) as folder:
        staged, staged_config = folder / out.name, folder / config_file.name
        staged_config.write_text(header(released, network) + config.pretty_text, encoding='utf-8')
        torch.save(dict(meta=meta, state_dict=state), staged)
        load_model(staged_config, staged)
    lines = [
        f'P ResNet-{network.initializer_depth}, F ResNet-{network.encoder_depth}, '
        f'{network.num_joints} joints, variant {network.variant}: '
        f'{out} and {config_file}'
    ]
    if unused:
        lines.append(
            f'{len(unused)} weights that the network does not use are left out: {", ".join(unused)}'
        )
    return '\n'.join(lines)


def main(args: list[str] | None = None) -> None:
    """Run the tool; exit status 1, and one line on what is wrong, if it cannot."""
    args = parse_args(args)
    try:
        print(convert(args.released, args.out, args.variant))
    except ReleasedWeightsError as error:
        raise SystemExit(f'{args.released}: {error}') from None
    except (ModelError, OSError) as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == '__main__':
    main()

"""Pack a trained lifter to be shipped with the package, in half precision.

python tools/research/lifter/pack_lifter.py configs/lift/lifter.py work_dirs/lifter/iter_3000.pth

writes rpstn/engine/weights/lifter.pt and lifter.json, named after the config, which the source
``lifter`` of ``rpstn.lift`` loads.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from mmengine.config import Config

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)
from rpstn.checkpoints import SHIPPED, SHIPPED_FORMAT, ModelError, read_checkpoint, weights_of
from rpstn.files import replacing, sha256
from rpstn.lift.models.shipped_lifter import load_lifter

LARGEST_MB = 5.0


def pack(config: str | Path, checkpoint: str | Path, folder: Path = SHIPPED) -> Path:
    """Write the weights, named after the config, and what describes them, without the density of
    poses.

    Returns:
        The weights' path.

    Raises:
        ModelError: the checkpoint cannot be read, or is too large.
    """
    weights = {
        key: value.half() if value.is_floating_point() else value
        for key, value in weights_of(read_checkpoint(checkpoint)).items()
        if not key.startswith(('prior.', 'data_preprocessor.'))
    }
    model = {
        key: value
        for key, value in Config.fromfile(config).model.to_dict().items()
        if key in ('type', 'backbone', 'head')
    }
    folder.mkdir(parents=True, exist_ok=True)
    target, description = (folder / f'{Path(config).stem}{end}' for end in ('.pt', '.json'))
    with replacing(target) as partial:
        torch.save(dict(state_dict=weights), partial)
        size = partial.stat().st_size
        if size > LARGEST_MB * 1e6:
            raise ModelError(f'{checkpoint}: {size / 1e6:.1f} MB packed, at most {LARGEST_MB}')
        described = dict(
            format=SHIPPED_FORMAT,
            name=Path(config).stem,
            sha256=sha256(partial),
            bytes=size,
            parameters=sum(value.numel() for value in weights.values()),
            model=model,
        )
    with replacing(description) as partial:
        partial.write_text(json.dumps(described, indent=1) + '\n', encoding='utf-8')
    return target


def main() -> int:
    """Packs, loads what was packed, and returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', type=Path, default=SHIPPED, help='(default: %(default)s)')
    args = parser.parse_args()
    try:
        weights = pack(args.config, args.checkpoint, args.out)
        load_lifter(weights.with_suffix('.json'))
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    print(f'{weights}: {weights.stat().st_size / 1e6:.1f} MB')
    return 0


if __name__ == '__main__':
    sys.exit(main())

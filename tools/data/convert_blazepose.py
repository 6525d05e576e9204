"""Convert the weights of BlazePose that MediaPipe releases.

    python tools/data/convert_blazepose.py OUT.pth
    python tools/data/convert_blazepose.py OUT.pth --network detector

reads pose_landmark_full.tflite, or pose_detection.tflite, of the installed package mediapipe
0.10.21 (Apache-2.0) and writes OUT.pth, half floats as there, and OUT.pth.sha256 for `sha256sum
-c`. OUT.pth loads safely, into the model of configs/blazepose/blazepose33.py (load_from), into a
BlazePose backbone alone, or, without the prefix, into a BlazePoseDetector:

    init_cfg=dict(type='Pretrained', checkpoint='OUT.pth', prefix='backbone.')

OUT.pt in place of OUT.pth is compressed, as zeros are many, and described by OUT.json: what comes
with the package, whose finder of people reads it:

    cd rpstn/engine/weights
    python ../../../tools/data/convert_blazepose.py blazepose_detector.pt --network detector

Reading needs the PyPI package tflite (pip install --no-deps tflite).
"""

from __future__ import annotations

import argparse
import io
import json
import zipfile
from pathlib import Path

import torch

import rpstn  # noqa: F401 (before MMPose: makes the OpenMMLab stack work)
from rpstn.checkpoints import SHIPPED_FORMAT
from rpstn.errors import RPSTNError
from rpstn.files import sha256, staging
from rpstn.pose.models.blazepose_weights import (
    DETECTOR_FILE,
    LANDMARK_FILE,
    detector_weights,
    landmark_weights,
    mediapipe_file,
)

NETWORKS = dict(
    landmarks=(LANDMARK_FILE, landmark_weights), detector=(DETECTOR_FILE, detector_weights)
)


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', type=Path, help='file of the result, .pth or .pt')
    parser.add_argument(
        '--network',
        choices=NETWORKS,
        default='landmarks',
        help='whose weights (default: %(default)s)',
    )
    parser.add_argument(
        '--tflite', type=Path, help='file to read (default: that of the installed mediapipe)'
    )
    options = parser.parse_args(args)
    if options.out.suffix not in ('.pth', '.pt'):
        parser.error(f'{options.out}: must end in .pth or .pt')
    return options


def convert(out: Path, network: str = 'landmarks', tflite: Path | None = None) -> str:
    """Write ``out`` and its digest or description; returns what to tell the user.

    Raises:
        TFLiteError, OSError: nothing was written.
    """
    name, read = NETWORKS[network]
    tflite = tflite or mediapipe_file(name)
    state = read(tflite)
    meta = dict(source=tflite.name, source_sha256=sha256(tflite), license='Apache-2.0')
    # torch names a file's content after the file; in memory it is the same bytes every time.
    saved = io.BytesIO()
    torch.save(dict(meta=meta, state_dict=state), saved)
    packed, weights = out.suffix == '.pt', sum(tensor.numel() for tensor in state.values())
    with staging(out.parent) as folder:
        staged = folder / out.name
        staged.write_bytes(compressed(saved) if packed else saved.getvalue())
        digest = sha256(staged)
        if packed:
            described = dict(
                format=SHIPPED_FORMAT,
                name=out.stem,
                sha256=digest,
                bytes=staged.stat().st_size,
                precision='float16',
                parameters=weights,
                about=dict(
                    **meta, author='Google', url='https://pypi.org/project/mediapipe/0.10.21'
                ),
            )
            text = json.dumps(described, indent=1) + '\n'
            (folder / f'{out.stem}.json').write_text(text, encoding='utf-8')
        else:
            (folder / f'{out.name}.sha256').write_text(f'{digest}  {out.name}\n', encoding='ascii')
    return (
        f'{tflite} (sha256 {meta["source_sha256"]}):\n{weights:,} weights in {out}, sha256 {digest}'
    )


def compressed(saved: io.BytesIO) -> bytes:
    """A file of ``torch.save``, which is a ZIP archive, deflated; ``torch.load`` takes it as it is.

    The same bytes every time.
    """
    target = io.BytesIO()
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(target, 'w') as packed:
        for name in source.namelist():
            packed.writestr(zipfile.ZipInfo(name), source.read(name), zipfile.ZIP_DEFLATED, 9)
    return target.getvalue()


def main(args: list[str] | None = None) -> None:
    """Run the tool; exit status 1, and one line on what is wrong, if it cannot."""
    options = parse_args(args)
    try:
        print(convert(options.out, options.network, options.tflite))
    except (RPSTNError, OSError) as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == '__main__':
    main()

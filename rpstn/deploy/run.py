"""Exporting from config and checkpoint, as `rpstn export` does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rpstn.engine.configs import read_config
from rpstn.engine.loading import load_model
from rpstn.errors import SettingError

from .checking import check_export
from .export import Exported, check_exportable, export_model
from .sample_clips import random_clips, read_clips


@dataclass(frozen=True)
class ExportOptions:
    """Of :func:`export`; `rpstn export --help` says what each is."""

    config: str | Path
    checkpoint: str | Path
    out: Path
    """Folder of the graphs."""
    clip_len: int | None = None
    """T of the clip graph. Defaults to the config's, or 5."""
    clips: Sequence[str | Path] = ()
    """For the check, see :func:`rpstn.deploy.sample_clips.read_clips`; random ones by default."""
    calibrate: Sequence[str | Path] = ()
    """To calibrate 8-bit integers by, which are written only then."""
    keep_float: Sequence[str] = ()
    weight_bits: int | None = None
    limit: int | None = None
    """Clips of each kind that are used; 16 by default."""
    cfg_options: Mapping[str, Any] = field(default_factory=dict)


def export(options: ExportOptions, say: Callable[[str], None] = lambda line: None) -> Exported:
    """Write the graphs of a trained RPSTN, and check them.

    Args:
        options: what is exported, and how.
        say: takes lines on what was written, and how far each engine is from PyTorch.

    Raises:
        RPSTNError: nothing was written, and why.
    """
    for option, value in (
        ('--weight-bits', options.weight_bits),
        ('--keep-float', options.keep_float),
    ):
        if value and not options.calibrate:
            raise SettingError(f'{option} is of 8-bit integers, which need --calibrate')
    if options.limit is not None and not (options.clips or options.calibrate):
        raise SettingError('--limit is of clips, which need --clips or --calibrate')
    config = read_config(options.config, options.cfg_options)
    model = check_exportable(load_model(config, options.checkpoint))
    stated = (config.get('test_dataloader') or {}).get('dataset', {}).get('clip_len', 5)
    clip_len = options.clip_len or stated
    frames, limit = max(clip_len, 2), options.limit or 16
    whole = read_clips(model, options.calibrate, frames, limit) if options.calibrate else []
    clips = (
        read_clips(model, options.clips, frames, limit)
        if options.clips
        else random_clips(model.backbone.input_size, frames)
    )
    exported = export_model(
        model,
        options.out,
        clip_len=clip_len,
        calibration=whole,
        keep_float=options.keep_float,
        weight_bits=options.weight_bits,
        checkpoint=options.checkpoint,
    )
    opset = exported.manifest['opset']
    for name, entry in exported.manifest['files'].items():
        say(f'{Path(options.out) / name}: {entry["bytes"] / 1e6:.1f} MB, opset {opset}')
    if whole:
        say(f'integer weights have {exported.manifest["weight_bits"]} bits')
    shown = (
        f'clips of {", ".join(map(str, options.clips))}'
        if options.clips
        else 'clips of random blobs, for want of --clips: differences are to be seen, shares of '
        'joints mean little'
    )
    say(f'Against PyTorch, float32, on {len(clips)} {shown}:')
    for check in check_export(model, exported, clips, clip_len):
        say(str(check))
    return exported

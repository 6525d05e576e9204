"""What a run over a video is, told by content: another one is not to go on with its results."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from rpstn.deploy.export import MANIFEST
from rpstn.errors import one_line
from rpstn.files import sha256
from rpstn.names import hide_password, hide_passwords
from rpstn.video.frames import FrameSource
from rpstn.video.inputs import Source
from rpstn.video.readers import UnreadableFrameError

from .inferencer import PoseInferencer
from .options import InferOptions

METHOD = 5
"""Of beginning and following people; higher where the same options came to answer otherwise."""


def about_run(
    args: InferOptions, inferencer: PoseInferencer, text: str, source: Source
) -> dict[str, Any]:
    """All that the bare results of a run depend on, as plain JSON values.

    Files are told apart by all of their bytes, the model by its weights: sha256, as hexadecimal
    digits.

    Args:
        args: of the run.
        inferencer: made by them.
        text: the input, as it was given.
        source: the input, opened.

    Raises:
        UnreadableFrameError: the input cannot be read.
    """
    about = dict(
        method=METHOD,
        input=hide_password(text) if source.live else str(Path(text).absolute()),
        size=list(source.size),
        # Its pretty_text takes a second.
        config=hide_passwords(repr(inferencer.model.cfg.to_dict())),
        weights=inferencer.model.weights_sha256,
        exported=args.exported and sha256(args.exported / MANIFEST),
        computed_by=inferencer.engine,
        box=args.box,
        kpt_thr=inferencer.kpt_thr,
        mode=inferencer.mode_for(source),
        engine=args.engine,
        people=args.people,
        finder=args.finds,
        precision=getattr(inferencer.stepper, 'precision', args.precision),
        reset_every=args.reset_every,
        look_ahead=args.look_ahead,
        spare=inferencer.spare,
        fps=args.fps,
        start=vars(args.part.start),
        end=args.part.end and vars(args.part.end),
        stride=args.part.stride,
    )
    if args.finder == 'rtmdet':
        about['detector'] = [sha256_or_name(args.det_model), sha256_or_name(args.det_weights)]
    if isinstance(source, FrameSource):
        about['content'] = content_sha256(source)
    return about


def content_sha256(source: FrameSource) -> str:
    """Of a video's bytes, or of the names and bytes of images.

    Reading them takes a small part of the time that decoding them does.

    Raises:
        UnreadableFrameError: they cannot be read.
    """
    try:
        if not source.images:
            return sha256(source.path)
        digest = hashlib.sha256()
        for file in source.images:
            digest.update(os.fsencode(os.path.basename(file)) + sha256(file).encode())
        return digest.hexdigest()
    except OSError as error:
        raise UnreadableFrameError(f'{source.path}: cannot be read: {one_line(error)}') from None


def sha256_or_name(text: str | Path | None) -> str | None:
    """What tells a file from another; of a name or URL itself."""
    if text is None or not Path(text).is_file():
        return None if text is None else hide_password(str(text))
    return sha256(text)

"""JHMDB's lists of training and test clips, and which clips were cut from one video."""

from __future__ import annotations

import re
from pathlib import Path

from rpstn.errors import SettingError

# <source>_<action>_<body part>_<camera motion>_np<people>_<view>_<quality>_<number>, HMDB51's.
_CONDITIONS = r'_[a-z]_[a-z]{2}_np\d+_[a-z]{2}_[a-z]{3}_\d+$'


def read_split(folder: Path, split: int) -> dict[str, bool]:
    """``<class>/<clip>`` -> whether it is for training, of one official split.

    The lists are ``<class>_test_split<n>.txt``, or ``<class>_test_split_<n>.txt``.

    Raises:
        FileNotFoundError: there is no list of this split.
        SettingError: a line is not ``<clip>.avi 0``, ``1`` or ``2``.
    """
    found: dict[str, list[tuple[Path, str]]] = {}
    for file in sorted(folder.glob('*.txt')):
        if match := re.fullmatch(r'([^.].*)_test_split_?(\d)\.txt', file.name):
            found.setdefault(match[2], []).append((file, match[1]))
    if str(split) not in found:
        raise FileNotFoundError(
            f'{folder / f"*_test_split{split}.txt"}: no list of split {split}; '
            f'splits found there: {", ".join(sorted(found)) or "none"}'
        )
    listed = {}
    for file, action in found[str(split)]:
        for number, line in enumerate(file.read_text(encoding='utf-8').splitlines(), 1):
            match = re.fullmatch(r'(.+)\.avi\s+([012])', line.strip())
            if match is None and line.strip():
                raise SettingError(
                    f"{file}, line {number}: must be '<clip>.avi 0', '1' (train) or "
                    f"'2' (test), got {line!r}"
                )
            # 0 marks clips of HMDB51 that the split leaves out.
            if match and match[2] != '0':
                listed[f'{action}/{match[1]}'] = match[2] == '1'
    return listed


def source_video(name: str) -> str:
    """The video that ``<class>/<clip>`` was cut from; one may serve several classes."""
    action, _, clip = name.partition('/')
    return re.sub(f'_{re.escape(action)}{_CONDITIONS}', '', clip)

"""Files of joints: JSON, CSV, TRC and NPZ, for the converter."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from .cases import Case
from .kinds_models import DOERS, Payload
from .mutations import (
    ARRAYS,
    BYTE_EDITS,
    SHARES,
    TEXTS,
    VALUE_EDITS,
    edit_array,
    edit_bytes,
    edit_value,
)
from .seeds import skeleton_of

EDITS = st.lists(BYTE_EDITS, min_size=1, max_size=3)
JSONS = ('own.json', 'named.json', 'coco.json', 'mmpose.json')
TABLES = ('wide.csv', 'long.csv', 'markers.trc')


class Json:
    """Joints in any layout of JSON: values, bytes, nesting; or only written otherwise."""

    name = 'joints, JSON'
    specs = st.fixed_dictionaries(
        dict(
            seed=st.sampled_from(JSONS),
            change=st.one_of(
                st.fixed_dictionaries(
                    dict(how=st.just('values'), edits=st.lists(VALUE_EDITS, min_size=1, max_size=2))
                ),
                st.fixed_dictionaries(dict(how=st.just('bytes'), edits=EDITS)),
                st.sampled_from(
                    [
                        dict(how='nested', of='['),
                        dict(how='nested', of='{"a":'),
                        dict(how='digits'),
                        dict(how='spaces'),
                        dict(how='order'),
                        dict(how='bom'),
                        dict(how='utf-16'),
                    ]
                ),
            ),
        )
    )

    def lay(self, case: Case, seeds: Path) -> None:
        """Alone in a folder of joints."""
        source = seeds / 'joints' / case.spec['seed']
        data, change = source.read_bytes(), case.spec['change']
        content = json.loads(data)
        match change['how']:
            case 'values':
                for edit in change['edits']:
                    content = edit_value(content, edit)
                data = json.dumps(content, ensure_ascii=False).encode('utf-8', 'surrogatepass')
            case 'bytes':
                for edit in change['edits']:
                    data = edit_bytes(data, edit)
            case 'nested':
                data, case.must = change['of'].encode() * 100_000, 'refusal'
            case 'digits':
                data = data.replace(b'0.9', b'9' * 5000, 1)
            case 'spaces':
                data, case.same = json.dumps(content, indent=4).encode(), 'as written'
            case 'order':
                if isinstance(content, dict):
                    content = dict(reversed(content.items()))
                data, case.same = json.dumps(content).encode(), 'as written'
            case 'bom':
                data = b'\xef\xbb\xbf' + data
            case _:
                data = json.dumps(content).encode('utf-16')
        _convert(case, seeds, data)


class Table:
    """Joints in CSV and TRC: cells, rows, columns and bytes; or only written otherwise."""

    name = 'joints, CSV'
    specs = st.fixed_dictionaries(
        dict(
            seed=st.sampled_from(TABLES),
            change=st.one_of(
                st.fixed_dictionaries(dict(how=st.just('bytes'), edits=EDITS)),
                st.fixed_dictionaries(
                    dict(
                        how=st.sampled_from(['cell', 'row', 'column', 'twice', 'short', 'long']),
                        row=SHARES,
                        column=SHARES,
                        text=st.sampled_from(
                            [*TEXTS, 'left_hip', '\0', '"', 'x' * 200_000, '\ud800', '１']
                        ),
                    )
                ),
                st.sampled_from([dict(how=how) for how in ('crlf', 'bom', 'semicolons')]),
            ),
        )
    )

    def lay(self, case: Case, seeds: Path) -> None:
        """Alone in a folder of joints."""
        name, change = case.spec['seed'], case.spec['change']
        data = (seeds / 'joints' / name).read_bytes().replace(b'\r\n', b'\n')
        if change['how'] == 'bytes':
            for edit in change['edits']:
                data = edit_bytes(data, edit)
        elif change['how'] == 'crlf':
            data, case.same = data.replace(b'\n', b'\r\n'), 'as written'
        elif change['how'] == 'bom':
            data = b'\xef\xbb\xbf' + data
        elif change['how'] == 'semicolons':
            data = data.replace(b',', b';')
        else:
            mark = '\t' if name.endswith('trc') else ','
            rows = [line.split(mark) for line in data.decode().splitlines()]
            _edit_rows(rows, change)
            text = '\n'.join(mark.join(row) for row in rows) + '\n'
            data = text.encode('utf-8', 'surrogatepass')
        _convert(case, seeds, data)


def _edit_rows(rows: list[list[str]], change: dict) -> None:
    at = int(change['row'] * len(rows))
    column = int(change['column'] * len(rows[at]))
    match change['how']:
        case 'cell':
            rows[at][column] = change['text']
        case 'row':
            del rows[at]
        case 'column':
            for row in rows:
                del row[column : column + 1]
        case 'twice':
            rows.insert(at, list(rows[at]))
        case 'short':
            del rows[at][column:]
        case _:
            rows[at].append(change['text'])


NPZ_EDITS = st.one_of(
    st.fixed_dictionaries(dict(how=st.just('bytes'), edits=EDITS)),
    st.fixed_dictionaries(
        dict(
            how=st.just('array'),
            at=SHARES,
            kind=st.sampled_from(ARRAYS),
            doer=st.sampled_from(DOERS),
        )
    ),
    st.fixed_dictionaries(
        dict(
            how=st.sampled_from(['shape', 'bomb', 'twice', 'path', 'missing', 'more', 'header']),
            at=SHARES,
        )
    ),
)
"""Of an NPZ file; see :func:`edit_npz`."""


def edit_npz(path: Path, edit: dict, canary: Path) -> bytes:
    if edit['how'] == 'bytes':
        data = path.read_bytes()
        for inner in edit['edits']:
            data = edit_bytes(data, inner)
        return data
    with np.load(path) as file:
        arrays = dict(file)
    key = list(arrays)[int(edit['at'] * len(arrays))]
    if edit['how'] == 'array':
        payload = Payload(edit['doer'], canary)
        arrays[key] = edit_array(arrays[key], edit['kind'], payload)
    elif edit['how'] == 'missing':
        del arrays[key]
    elif edit['how'] == 'more':
        arrays['more'] = np.arange(3)
    target = io.BytesIO()
    np.savez(target, **arrays)
    if edit['how'] not in ('shape', 'bomb', 'twice', 'path', 'header'):
        return target.getvalue()
    with zipfile.ZipFile(target, 'a', zipfile.ZIP_DEFLATED) as file:
        if edit['how'] == 'twice':
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')  # of zipfile, which finds it odd as well
                file.writestr(f'{key}.npy', b'other')
        elif edit['how'] == 'path':
            file.writestr('../../../canary', b'x')
    if edit['how'] in ('twice', 'path'):
        return target.getvalue()
    lies = io.BytesIO()
    with zipfile.ZipFile(lies, 'w', zipfile.ZIP_DEFLATED) as file:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=True)
            data = member.getvalue()
            if name == key:
                data = _lying(edit['how'])
            file.writestr(f'{name}.npy', data)
    return lies.getvalue()


def _lying(how: str) -> bytes:
    """An array whose header promises what the file does not hold, or far too much."""
    shape = dict(shape='(1099511627776, 17, 2)', bomb='(100000000,)', header='(3,)')[how]
    words = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    if how == 'header':
        words = words.replace("'<f4'", '__import__("os").system("touch canary")')
    text = words.encode().ljust(117) + b'\n'
    body = bytes(400_000_000) if how == 'bomb' else bytes(64)
    return b'\x93NUMPY\x01\0' + len(text).to_bytes(2, 'little') + text + body


class Arrays:
    """Joints in NPZ."""

    name = 'joints, NPZ'
    specs = NPZ_EDITS

    def lay(self, case: Case, seeds: Path) -> None:
        """Alone in a folder of joints."""
        path = seeds / 'joints/arrays.npz'
        _convert(case, seeds, edit_npz(path, case.spec, case.into.parent / 'canary'), '.npz')


def _convert(case: Case, seeds: Path, data: bytes, ending: str | None = None) -> None:
    """The case is tools/data/convert_skeletons.py on that file."""
    seed = case.spec.get('seed', f'arrays{ending}')
    path = case.into / 'squat' / seed
    path.parent.mkdir()
    path.write_bytes(data)
    case.door, case.named = 'convert', [seed, 'squat']
    case.argv = ['joints', str(case.into), '--out', str(case.out), *skeleton_of(seed)]
    if case.same:
        case.same = str(seeds / 'expected_joints' / Path(seed).stem)

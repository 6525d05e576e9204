"""Data files: joints in JSON, CSV, TRC and NPZ; archives, pickles and MATLAB files of data sets."""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
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
"""Of an NPZ file; see :func:`_edit_npz`."""


def _edit_npz(path: Path, edit: dict, canary: Path) -> bytes:
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
        _convert(case, seeds, _edit_npz(path, case.spec, case.into.parent / 'canary'), '.npz')


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


class Archive:
    """Skeletons of `rpstn test`: the archive, its table of labels, or MMAction2's pickle."""

    name = 'data set, form'
    specs = st.one_of(
        st.fixed_dictionaries(dict(of=st.just('npz'), edit=NPZ_EDITS)),
        st.fixed_dictionaries(dict(of=st.just('csv'), edits=EDITS)),
        st.fixed_dictionaries(dict(of=st.just('pkl'), edits=EDITS)),
        st.fixed_dictionaries(
            dict(of=st.just('pkl'), values=st.lists(VALUE_EDITS, min_size=1, max_size=2))
        ),
        st.fixed_dictionaries(
            dict(
                of=st.just('pkl'),
                doer=st.sampled_from(DOERS),
                protocol=st.integers(0, 5),
                at=SHARES,
                kind=st.sampled_from(ARRAYS),
            )
        ),
    )

    def lay(self, case: Case, seeds: Path) -> None:
        """In place of a file of the data set."""
        spec, root = case.spec, case.into / 'form'
        shutil.copytree(seeds / 'form', root)
        name = dict(npz='keypoints2d.npz', csv='labels.csv', pkl='annotations.pkl')[spec['of']]
        path = root / name
        canary = case.into.parent / 'canary'
        if 'edit' in spec:
            path.write_bytes(_edit_npz(path, spec['edit'], canary))
        elif 'edits' in spec:
            data = path.read_bytes()
            for edit in spec['edits']:
                data = edit_bytes(data, edit)
            path.write_bytes(data)
        else:
            content = pickle.loads(path.read_bytes())  # ours
            if 'values' in spec:
                for edit in spec['values']:
                    content = edit_value(content, edit)
            else:
                annotation = content['annotations'][int(spec['at'] * 4)]
                payload = Payload(spec['doer'], canary)
                annotation['keypoint'] = edit_array(annotation['keypoint'], spec['kind'], payload)
            path.write_bytes(pickle.dumps(content, spec.get('protocol', 4)))
        config = 'form_pkl' if spec['of'] == 'pkl' else 'form_npz'
        _test(case, seeds / f'{config}.py', seeds / 'form_npz.pth', root)
        case.named = [name, 'form', 'keypoints2d.npz']


MAT_FIELDS = ('x', 'y', 'visibility', 'bbox', 'train', 'nframes', 'action', 'pose', 'dimensions')


class Matlab:
    """A label file of Penn Action."""

    name = 'data set, .mat'
    specs = st.one_of(
        st.fixed_dictionaries(dict(how=st.just('bytes'), edits=EDITS)),
        st.fixed_dictionaries(
            dict(
                how=st.just('array'),
                field=st.sampled_from(MAT_FIELDS),
                kind=st.sampled_from([k for k in ARRAYS if k not in ('payload', 'dates')]),
            )
        ),
        st.fixed_dictionaries(
            dict(
                how=st.just('value'),
                field=st.sampled_from(MAT_FIELDS),
                value=st.sampled_from(['cell', 'struct', 'text', 'texts', 'big', 'none', 'sparse']),
            )
        ),
        st.fixed_dictionaries(dict(how=st.sampled_from(['hdf5', 'v4', 'empty', 'folder']))),
    )

    def lay(self, case: Case, seeds: Path) -> None:
        """In place of one of two sequences."""
        spec, root = case.spec, case.into / 'penn'
        shutil.copytree(seeds / 'penn', root)
        path = root / 'labels/0002.mat'
        if spec['how'] == 'bytes':
            data = path.read_bytes()
            for edit in spec['edits']:
                data = edit_bytes(data, edit)
            path.write_bytes(data)
        elif spec['how'] == 'hdf5':
            head = b'MATLAB 7.3 MAT-file'.ljust(124) + b'\0\2IM'
            path.write_bytes(head.ljust(512, b'\0') + b'\x89HDF\r\n\x1a\n' + bytes(500))
        elif spec['how'] == 'empty':
            path.write_bytes(b'')
        elif spec['how'] == 'folder':
            os.remove(path)
            path.mkdir()
        else:
            content = {k: v for k, v in scipy.io.loadmat(path).items() if k[0] != '_'}
            if spec['how'] == 'array':
                content[spec['field']] = edit_array(content[spec['field']], spec['kind'], None)
            elif spec['how'] == 'value':
                content[spec['field']] = _mat_value(spec['value'], content[spec['field']])
            else:
                content = {k: v for k, v in content.items() if k in ('x', 'y', 'bbox')}
            if content.get(spec.get('field', ''), 0) is None:
                del content[spec['field']]
            scipy.io.savemat(path, content, format='4' if spec['how'] == 'v4' else '5')
        _test(case, seeds / 'pose.py', seeds / 'model.pth', root)
        case.named = ['0002']


def _mat_value(value: str, old: Any) -> Any:
    cell = np.empty(2, object)
    cell[:] = [np.arange(3), 'text']
    return dict(
        cell=cell,
        struct=dict(a=1, b='c'),
        text='squat',
        texts=np.array(['one', 'three']),
        big=np.full((6, 13), 1e30),
        none=None,
        sparse=__import__('scipy.sparse').sparse.csc_matrix(np.eye(6)),
    )[value]


def _test(case: Case, config: Path, checkpoint: Path, root: Path) -> None:
    """The case is `rpstn test` on that data."""
    case.argv = ['test', str(config), str(checkpoint), '--work-dir', str(case.out / 'work')]
    case.argv += ['--out', str(case.out / 'figures.json'), '--cfg-options']
    case.argv += [f'test_dataloader.dataset.data_root={root}']


def wrong_figures(case: Case) -> str | None:
    """What is wrong with what `rpstn test` wrote, if anything is."""
    try:
        figures = json.loads((case.out / 'figures.json').read_text())
    except (OSError, ValueError) as error:
        return f'half written: {type(error).__name__}: {error}'
    return None if figures else 'no figures'


def wrong_skeletons(case: Case) -> str | None:
    """What is wrong with what the converter wrote, if anything is."""
    try:
        (archive,) = case.out.glob('*.npz')
        with np.load(archive) as file:
            arrays = dict(file)
        with open(case.out / 'labels.csv', newline='') as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError) as error:
        return f'half written: {type(error).__name__}: {error}'
    if [row['name'] for row in rows] != list(arrays):
        return 'table and archive differ'
    if any(np.isinf(array).any() for array in arrays.values()):
        return 'joints are not finite'
    if case.same is not None:
        (other,) = Path(case.same).glob('*.npz')
        with np.load(other) as file:
            if any(not np.array_equal(file[k], arrays[k], equal_nan=True) for k in file):
                return 'other joints than the file holds'
    return None

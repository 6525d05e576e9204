"""docs/angles.md shows the tables as they are in the code; this file writes them, too:
``python tests/docs/test_angles_page.py``."""

import json
import re
from pathlib import Path

from rpstn.form.angle_table import ANGLES, VIEWS, error_of, is_measured
from rpstn.form.exercises import FOLDER, known_exercises, load_exercise
from rpstn.tables import format_table

PAGE = Path(__file__).parents[2] / 'docs' / 'angles.md'


def angles() -> str:
    rows = [
        [
            f'`{name}`{"*" if row.vertical else ""}',
            row.title,
            row.joints,
            row.plane,
            row.sign,
            f'{row.range[0]:g} to {row.range[1]:g} {row.unit}',
            row.clinical,
            row.isb,
            row.cannot,
        ]
        for name, row in ANGLES.items()
    ]
    return format_table(
        ['Name', 'Title', 'Joints', 'Plane', 'Sign', 'Range', 'Clinical', 'ISB', 'It cannot tell'],
        rows,
    )


def errors() -> str:
    def text(name: str, view: str) -> str:
        error = error_of(name, view)
        mark = '' if is_measured(name, view) else '~'
        return '-' if error == float('inf') else f'{mark}{error:g} {ANGLES[name].unit}'

    rows = [[row.title, *(text(name, v) for v in VIEWS)] for name, row in ANGLES.items()]
    return format_table(['Angle', *VIEWS], rows)


def cited() -> str:
    rows = [
        [
            exercise.title,
            ANGLES[one.angle].title,
            one.moment,
            f'{one.range[0]:g} to {one.range[1]:g} {ANGLES[one.angle].unit}',
            one.says,
            one.source,
        ]
        for exercise in map(load_exercise, known_exercises())
        for one in exercise.cited
    ]
    return format_table(['Exercise', 'Angle', 'Moment', 'Range', 'What', 'Source'], rows)


def exercise() -> str:
    text = (FOLDER / 'squat.json').read_text(encoding='utf-8')
    first_rule = text.index('{', text.index('"rules"'))
    _, end = json.JSONDecoder().raw_decode(text, first_rule)
    return f'```json\n{text[:end]},\n    ...\n```'


TABLES = dict(angles=angles, errors=errors, cited=cited, exercise=exercise)


def written(page: str) -> str:
    def table(match: re.Match) -> str:
        return f'<!-- table: {match[1]} -->\n{TABLES[match[1]]()}\n<!-- end -->'

    return re.sub(r'<!-- table: (\w+) -->.*?<!-- end -->', table, page, flags=re.DOTALL)


def test_the_tables_are_those_of_the_code():
    page = PAGE.read_text(encoding='utf-8')
    assert page.count('<!-- table: ') == len(TABLES)
    assert written(page) == page


if __name__ == '__main__':
    PAGE.write_text(written(PAGE.read_text(encoding='utf-8')), encoding='utf-8')

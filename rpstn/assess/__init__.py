"""From joints in space to what a coach can read: repetitions, angles, faults, a report.

    import rpstn

    assessment = rpstn.assess('squat.mp4')
    [finding.reason for finding in assessment.findings]

The room may be called itself, as a short form of :func:`rpstn.assess.pipeline.assess`, for a module
and a function of one package cannot have the same name.
"""

import sys
from types import ModuleType
from typing import Any

from .pipeline import Assessor, assess
from .report import write_report
from .run import AssessOptions, assess_all
from .structures import Assessment, Forms, Note

__all__ = [
    'AssessOptions',
    'Assessment',
    'Assessor',
    'Forms',
    'Note',
    'assess',
    'assess_all',
    'write_report',
]


class _Room(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Assessment:
        return assess(*args, **options)


sys.modules[__name__].__class__ = _Room

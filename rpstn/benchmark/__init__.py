"""Speed, measured in turns, in one run on one machine."""

from .report import Report, Section, read_page
from .run import benchmark
from .settings import WAYS, Settings

__all__ = ['WAYS', 'Report', 'Section', 'Settings', 'benchmark', 'read_page']

"""Pickle files that hold arrays, read without running anything that they name.

A pickle is a program: it names functions and the arguments to call them with. Here no name is ever
looked up. Each of the few that plain data needs (NumPy's arrays, scalars and data types, sets,
bytes) is answered by a stand-in of this module, which checks its arguments and builds the value
itself, also because NumPy's own ``__setstate__`` believes what it is told about memory. Any other
name is refused. What is not guarded against is a file made to fill the memory.
"""

from .loading import PLAIN, load_arrays
from .stand_ins import UnsafePickleError

__all__ = ['PLAIN', 'UnsafePickleError', 'load_arrays']

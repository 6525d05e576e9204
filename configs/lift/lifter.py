# The lifter that ships.
_base_ = '../_base_/lifter.py'

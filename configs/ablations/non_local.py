# The non-local block, relation between pixels, from the start, in place of JRE.
_base_ = '../rpstn_penn.py'

model = dict(head=dict(relation=dict(type='NonLocalRelation')))

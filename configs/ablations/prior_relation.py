# A fixed graph, the skeleton's, in place of the relation that JRE learns.
_base_ = '../rpstn_penn.py'

model = dict(head=dict(relation=dict(
    type='PriorRelation',
    skeleton={13: 'penn13', 15: 'jhmdb15'}[_base_.model.head.num_joints])))

"""The ablations' rows, for ablate.py: groups of rows, each row a change of its group's config.

A group's rows start from the same weights and have the same budget: ``steps`` of ``batch`` clips of
``frames`` frames. ``seeds`` is 1 where a row does not say otherwise; ``fit`` steps teach a
TokenRelation's places first. The first row of a group is what its others are compared with.
"""

jre, tokens = dict(type='JRE'), dict(type='TokenRelation')
# What they answer is fitted first, and moves joints but does not make them surer.
placed = dict(tokens, keep_height=True, sharpness=60.0)
relations = dict(
    none=dict(label='none', relation=None, seeds=3),
    conv=dict(label='1x1 convolution', relation=dict(type='ConvRelation')),
    jre=dict(label='JRE, as in the paper', relation=jre, seeds=3),
    jre_tau=dict(label='JRE, learned temperature', relation=dict(jre, temperature=12.0)),
    jre_cosine=dict(label='JRE, cosines', relation=dict(jre, similarity='cosine', temperature=0.1)),
    graph=dict(label='fixed graph', relation=dict(type='PriorRelation', skeleton='blazepose33')),
    non_local=dict(label='non-local', relation=dict(type='NonLocalRelation')),
    jre_non_local=dict(
        label='JRE, then non-local',
        relation=dict(type='RelationSequence', relations=[jre, dict(type='NonLocalRelation')]),
    ),
    pairwise=dict(label='pairwise displacement', relation=dict(type='PairwiseRelation'), seeds=3),
    tokens=dict(label='tokens', relation=tokens, seeds=3),
    jre_tokens=dict(
        label='JRE, then tokens', relation=dict(type='RelationSequence', relations=[jre, tokens])
    ),
    placed=dict(label='tokens, places fitted', relation=placed, seeds=3, fit=500, alone=True),
    held=dict(label='places fitted, then all else trained', relation=placed, fit=500),
    unheld=dict(label='places fitted, then all trained', relation=placed, fit=500, hold=False),
)
relation_rows = {
    name: dict(
        label=row['label'],
        seeds=row.get('seeds', 1),
        fit=row.get('fit', 0),
        hold=row.get('hold', True),
        **({'alone': True} if row.get('alone') else {}),
        change={'model.head.relation': row['relation'] and dict(row['relation'], _delete_=True)},
    )
    for name, row in relations.items()
}

narrow = dict(kernel_channels=32)
# Of what starts as no identity, but from nothing: at Lite's own rate it learns too slowly to end.
from_nothing = {'optim_wrapper.optimizer.lr': 5e-3}
pretrained = 'work_dirs/single_pretrain/epoch_6.pth'
groups = dict(
    single=dict(
        title='Relation, behind the maps of a single frame',
        config='configs/lite/single_lite.py',
        start='work_dirs/single_lite/epoch_8.pth',
        steps=200,
        batch=2,
        frames=8,
        rows=relation_rows,
    ),
    relation=dict(
        title='Relation, within RPSTN',
        config='configs/lite/rpstn_lite_no_jre.py',
        start='work_dirs/rpstn_lite_no_jre/epoch_8.pth',
        alone=True,
        steps=150,
        batch=2,
        frames=5,
        rows=dict(
            {name: row for name, row in relation_rows.items() if name not in ('held', 'unheld')},
            none=dict(relation_rows['none'], seeds=1),  # of which nothing is trained
            lite=dict(
                label='JRE, tokens behind the recurrence, as in RPSTN-Lite',
                config='configs/lite/rpstn_lite_readout.py',
                change={},
                start='work_dirs/rpstn_lite/placed.pth',
                steps=0,
            ),
            tokens_last=dict(
                label="tokens over the last frame's, too",
                change={'model.head.relation': dict(tokens, temporal=True, _delete_=True)},
            ),
            placed_readout=dict(
                label='tokens behind the recurrence, places fitted',
                seeds=3,
                fit=500,
                change={'model.head.readout': dict(placed, _delete_=True)},
            ),
            placed_last=dict(
                label="tokens over the last frame's, places fitted",
                seeds=3,
                fit=500,
                change={'model.head.relation': dict(placed, temporal=True, _delete_=True)},
            ),
        ),
    ),
    propagation=dict(
        title='Propagation, without relation',
        config='configs/lite/rpstn_lite_no_jre.py',
        start=None,
        steps=1500,
        batch=2,
        frames=5,
        rows=dict(
            none=dict(
                label='without P',
                change={
                    'model.head.propagator': dict(
                        _delete_=True, type='NoPropagator', pretrained=pretrained
                    )
                },
            ),
            jrpsp=dict(
                label='JRPSP, as in the paper',
                change={
                    'model.head.propagator': dict(_delete_=True, type='JRPSP', **narrow),
                    **from_nothing,
                },
            ),
            cat=dict(
                label='Cat',
                change={
                    'model.head.propagator': dict(_delete_=True, type='CatPropagator'),
                    **from_nothing,
                },
            ),
            residual=dict(label='residual JRPSP', change={'model.head.propagator.carry': False}),
            gate=dict(label='residual JRPSP with gate', change={}),
        ),
    ),
    length=dict(
        title='T, of the clips that are trained on',
        config='configs/lite/rpstn_lite_no_jre.py',
        start=None,
        steps=600,
        batch=2,
        frames=5,
        rows={
            f't{frames}': dict(
                label=f'T = {frames}', change={}, frames=frames, batch=round(10 / frames)
            )
            for frames in (1, 3, 5, 8)
        },
    ),
)

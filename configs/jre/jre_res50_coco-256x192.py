# Simple Baselines, ResNet-50, on COCO, MMPose's own config, with a joint relation behind its head.
# Start from MMPose's weights with --cfg-options load_from=<checkpoint of the config below>.
_base_ = ('mmpose::body_2d_keypoint/topdown_heatmap/coco/'
          'td-hm_res50_8xb64-210e_coco-256x192.py')
custom_imports = dict(imports=['rpstn'], allow_failed_imports=False)

model = dict(head=dict(
    _delete_=True, type='RelationHead', head={{_base_.model.head}}, relation=dict(type='JRE')))

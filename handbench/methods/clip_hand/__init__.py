"""CLIP-Hand (Zhou et al., The Visual Computer 2026), from the paper: what `clip-hand-s12` and `clip-hand-s24` share.

A backbone of pooling attention (`pat`), its features brought back to a quarter of the input (`high_resolution`, the
paper's HFA), heat-maps of joints and mesh vertices that sample queries (`heatmaps`, MHF), a transformer that narrows
and looks less and less far along the mesh (`mted`), hand poses to lean on (`templates`, PJ), and in training images
and prompts of CLIP (`language`, CM). Queries are always ordered: camera, 21 joints (FH21), 195 vertices.
"""

"""All that touches Slicer's scene; the numeric rooms know nothing of it.

- `run`: from two nodes to results in the scene, by all that follows.
- `inputs`: volume nodes as arrays, and back.
- `outputs`: the nodes of a fused pair. `attributes`: what they say of themselves. `rollback`: the scene as it
  was, after an error.
- `views`, `alignment`, `legend`, `color_maps`: what is shown; `live_colors`, `live_fusion`: while a slider
  is moved, or the PET changes.
- `evaluation`: tables and a plot of the metrics. `export`: files. `report`: what the interactive page shows.
- `sample_data`: a pair to try it with.
- `brains_engine`: Slicer's own registration.
"""

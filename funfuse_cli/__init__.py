"""All of FunFuse that runs outside of Slicer; ``funfuse`` and ``funfuse.py`` dispatch to its commands.

- `commands`: one module a command.
- `workflow`: from image files to a folder of results.
- `headless`: a stand-in for the Slicer application; it knows nothing of FunFuse.
- `training`: the networks' training, and what comparison methods learn.
- `studies`: measurements behind the pages in docs.
- `benchmarks`: how fast it is.
"""

"""Many participants: which there are, one after the other or at a time, safe to kill, and what came of all.

- `participants`: what a cohort consists of.
- `data_set`, `pairs_table`: where it comes from.
- `work`: one participant, from its images to a folder of derivatives.
- `derivatives`: their names and side cars, as BIDS has them.
- `engines`: the processes that work, here or on a cluster.
- `group`, `group_page`: a table and a page of all.
"""

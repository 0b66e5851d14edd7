"""Many machines: the parts of a pass done by a Ray cluster, and photos in object storage.

`executor` gives parts to `worker`s on the nodes of a `cluster`; `storage` reads URLs and `mirror` brings photos to
this machine. Only `executor` and `cluster` import ray, only `storage` pyarrow.
"""

"""Figures from tables: image level, box level, curves, latency, and the comparison of all systems.

Nothing here reads photos or runs a network: what goes in are the test photos, the boxes people drew and the stored
predictions; what comes out are frozen dataclasses and the text of the files of ``report/``.
"""

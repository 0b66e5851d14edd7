"""How sure the figures are: thresholds, intervals, paired tests and verdicts that respect groups of photos.

Photos of one accident, or nearly alike, are one *group* and count as one observation with several looks, not as
several observations. Nothing here reads photos or runs a network: arrays and tables go in, frozen dataclasses
come out, and None with a sentence stands for what cannot be said.
"""

"""Downloading published weights: the only part of this package that asks the network for anything unasked of a study.

pins       which files there are, and the hash that each must have
download   getting one, whole or not at all
"""

from wreckognize.fetching.pins import FILES, PINS, RELEASE, Pin

__all__ = ["FILES", "PINS", "RELEASE", "Pin"]

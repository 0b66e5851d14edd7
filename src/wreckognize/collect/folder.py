"""Photos without labels: the role of their source is all that is known of them."""

from __future__ import annotations

from wreckognize.collect.candidates import Candidate, box_array
from wreckognize.collect.labelwords import claim_from_name
from wreckognize.collect.walk import File

LABEL_SUFFIXES: frozenset[str] = frozenset()


def read(photos: list[File]) -> list[Candidate]:
    """Take every photo as it is."""
    return [
        Candidate(photo.name, photo.path, box_array([]), claim=claim_from_name(photo.name)) for photo in photos
    ]

"""imagededup's search for near hashes: ``python peer_imagededup.py`` with a job as JSON on standard input.

Runs in the peers' environment. Prints, for each of two numbers of queries, the seconds that its own search takes with
all hashes as the database; from both follows what asking for every hash would take.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any


def distance(one: str, other: str) -> int:
    """Bits in which two hashes differ; as in imagededup's own class of hashes."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def main() -> None:
    """Search, and print the seconds."""
    from imagededup.handlers.search.retrieval import HashEval

    job: dict[str, Any] = json.load(sys.stdin)
    hashes = {f"{number:07}.jpg": one for number, one in enumerate(job["hashes"])}
    taken = []
    for count in job["queries"]:
        step = len(hashes) // count
        queries = dict(list(hashes.items())[::step][:count])
        began = time.perf_counter()
        found = HashEval(
            hashes, queries, distance, verbose=False, threshold=job["distance"], search_method=job["method"]
        )
        taken.append((time.perf_counter() - began, sum(map(len, found.retrieve_results().values()))))
    json.dump(taken, sys.stdout)


if __name__ == "__main__":
    main()

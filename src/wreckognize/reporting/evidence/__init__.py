"""What the page says of the findings: verdicts, intervals, thresholds, claims, slices, shortcuts, and the test set.

Each file turns one part of `wreckognize.evidence.findings.Findings` into texts and tables; `sections` gathers them, and
the templates of the same names show them. `phrases` formats intervals and differences.
"""

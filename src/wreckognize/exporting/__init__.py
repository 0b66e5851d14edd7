"""A detector as it is handed on: a self-contained folder (bundle), the gate before it, and verdicts by it."""

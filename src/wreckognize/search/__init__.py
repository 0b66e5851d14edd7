"""The search for a system's best settings: what is tried, what came of it, and the page that shows it.

    space (what may vary) -> store (Optuna: what to try next) -> figures (what came of it) -> best, page

The only room that knows Optuna, and only `store` does. `wreckognize.stages.searching` trains and looks.
"""

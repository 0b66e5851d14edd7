"""From a catalog to a split that can be trusted: groups, shares by group, and the lock on the test set."""

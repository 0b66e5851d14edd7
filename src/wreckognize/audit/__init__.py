"""Photos whose label or truth is probably wrong, ranked, each with the reason in words.

A label cannot be doubted by the network that has learnt it by heart. So photos are divided into folds (`folds`), and
each is looked at by a student that was trained on the other folds. Where label and student disagree, `doubts` says
how much, which box is meant, and why; `ranking` puts photos in order.
"""

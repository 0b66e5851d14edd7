"""The rim of each stage: which tables it reads and writes, and what its fingerprint is made of.

What a stage *does* stands in its own room (collect, curate, labeling, ...); how the stages follow one another stands
in `pipeline`. A stage here opens its inputs, calls that room, and writes what came back, whole or not at all.

    run        a study in its folder                 data     collect, split, label
    alike      what photos look like, groups
    looking    teacher pass, predictions, timing     results  evaluate, report
    learning   train
"""

"""The round trip with annotation tools: photos go out with their boxes drawn, people's boxes come back as truth.

Out: ``plan`` says which photos go, in which order and with which boxes; ``manifest`` writes down what went; ``copies``
copies the photos; ``labelstudio``, ``coco`` and ``yolo`` know the tools' files, both ways. Back: ``reading`` opens what
came, ``boxfiles`` says what in a file of mere boxes is an answer, ``answers`` checks them all; ``records`` is the file
that keeps them; ``compare`` finds where two reviewers differ; ``apply`` makes them the catalog's truth.
"""

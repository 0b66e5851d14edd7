"""The report of a run: one HTML page that opens from disk, and its plots as files.

`inputs` says what a report is made of, `page` assembles it. `headline`, `tables`, `dataset`, `charts` and
`gallery` turn tables and figures into what the page shows, `evidence` does so with intervals and verdicts, which
`verdicts_text` gives as Markdown and as lines; `plots` and `thumbnails` draw; `wording` formats.
Nothing here opens a run's folder: only photos that a gallery shows are read, through `wreckognize.images`.
"""

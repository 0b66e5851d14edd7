"""Photos to verdicts, any number of them: one line a photo, one decision a claim, resumable."""

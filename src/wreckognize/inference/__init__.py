"""Photos to vehicle boxes: letterbox, batches by shape, inference, non-maximum suppression, tables."""

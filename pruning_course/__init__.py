"""Prune neural networks: score, select, mask, hold while training, finalize or shrink."""

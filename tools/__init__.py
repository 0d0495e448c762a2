"""The course's own tools: run, check and address the notebooks."""

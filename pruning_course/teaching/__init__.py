"""What the lessons need besides the library: figures, controls, checks, the map of the course.

Importing it switches off what transformers says while it reads and writes models: progress bars that take a second, and
tables on stderr. Lessons say themselves what matters. Variables that you have set stay as they are.
"""

import os
import sys

from pruning_course.extras import extra

with extra("course"):
    import IPython  # noqa: F401
    import ipywidgets  # noqa: F401
    import matplotlib  # noqa: F401

QUIET = {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TOKENIZERS_PARALLELISM": "false"}


def _make_transformers_quiet() -> None:
    """By its variables if it is still to be imported (it reads them then), and otherwise by its own calls."""
    unset = [name for name in QUIET if name not in os.environ]
    os.environ.update({name: QUIET[name] for name in unset})
    logging = sys.modules.get("transformers.utils.logging")
    if logging and "TRANSFORMERS_VERBOSITY" in unset:
        logging.set_verbosity_error()
    if logging and "HF_HUB_DISABLE_PROGRESS_BARS" in unset:
        logging.disable_progress_bar()


_make_transformers_quiet()

"""Is a reader at work here, or are outputs made that will be compared and committed?

A figure or a widget shows a reader more than it leaves in a committed notebook; `figures` and `widgets` say what.
"""

import os


def in_jupyter() -> bool:
    """Has a Jupyter server started this kernel, for a notebook that is open in JupyterLab or a browser?

    The server names the notebook in JPY_SESSION_NAME. Kernels of nbclient, nbconvert and nbval have no such name.
    """
    return bool(os.environ.get("JPY_SESSION_NAME")) and not in_colab()


def in_colab() -> bool:
    """Is this Google Colab?"""
    return bool(os.environ.get("COLAB_RELEASE_TAG"))

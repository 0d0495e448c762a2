"""What the Jupyter server of learners is told; tools/lab.py and Binder's `start` point JUPYTER_CONFIG_PATH here."""

import warnings

WIDGET = "application/vnd.jupyter.widget-view+json"

c = get_config()  # noqa: F821, Jupyter gives it

# jupytext is an author's tool: a learner opens what is in the notebook, and saving changes nothing else.
c.ServerApp.jpserver_extensions = {"jupyterlab_jupytext": False}
# The sources of the lessons, with the solutions in them, are not for learners either.
c.ContentsManager.hide_globs = ["__pycache__", "*.pyc", "*.pyo", ".DS_Store", "*~", "source", "*.egg-info"]


def drop_live_views(model, **_):
    """Save no reference to a live widget: without its kernel it would show an error in place of the picture."""
    if model["type"] == "notebook" and model.get("content"):
        for cell in model["content"]["cells"]:
            for output in cell.get("outputs", []):
                data = output.get("data", {})
                if len(data) > 1:
                    data.pop(WIDGET, None)


warnings.filterwarnings(
    "ignore", "Overriding existing pre_save_hook"
)  # this file is read twice, by Jupyter's own doing
c.FileContentsManager.pre_save_hook = drop_live_views

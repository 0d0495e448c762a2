"""Where the course lives: `badges.py OWNER/NAME TAG` changes it in every badge, first cell and page at once.

The one setting is `[tool.pruning_course]` in pyproject.toml; everything else is rewritten to agree with it.
"""

import hashlib
import re
import sys
from pathlib import Path
from typing import NamedTuple

from pruning_course.files import written_beside

ROOT = Path(__file__).resolve().parents[1]
BINDER = "https://mybinder.org"
COLAB = "https://colab.research.google.com"
# Colab has the other dependencies, torch and transformers among them; those must stay as they are there.
MISSING_ON_COLAB = ("obonet", "gguf")


class Home(NamedTuple):
    repository: str
    tag: str


def home(root: Path = ROOT) -> Home:
    """The repository and tag that pyproject.toml names."""
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    section = re.search(r"^\[tool\.pruning_course\]\n(.*?)(?=^\[|\Z)", text, re.M | re.S)
    found = dict(re.findall(r'^(repository|tag) = "(.*)"$', section[1], re.M)) if section else {}
    if set(found) != {"repository", "tag"}:
        raise ValueError("pyproject.toml needs `repository` and `tag` in its section [tool.pruning_course].")
    return Home(**found)


def badge_line(slug: str, root: Path = ROOT) -> str:
    """The launch badges of notebooks/SLUG.ipynb, as one line of Markdown."""
    repository, tag = home(root)
    learners, committed = f"my_course/{slug}.ipynb", f"notebooks/{slug}.ipynb"  # Colab sees only what is committed
    return (
        f"[![Open in Binder]({BINDER}/badge_logo.svg)]({BINDER}/v2/gh/{repository}/{tag}?urlpath=lab/tree/{learners}) "
        f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({COLAB}/github/{repository}/blob/{tag}/{committed})"
    )


def first_cell(root: Path = ROOT) -> str:
    """The first code cell of every notebook: installs the course where it is missing, and is silent elsewhere."""
    repository, tag = home(root)
    lines = (root / "requirements-lab.txt").read_text(encoding="utf-8").splitlines()
    wheels = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    packages = ", ".join(f'"{name}"' for name in [*wheels, *MISSING_ON_COLAB])
    return f"""\
# Colab and the like: install the course beside the torch that is there. Elsewhere this cell does nothing.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("pruning_course") is None:
    print("Installing the course and training its dense model: about six minutes.")
    wheels = [{packages}]
    course = "git+https://github.com/{repository}@{tag}"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", course, *wheels], check=True)
    subprocess.run([sys.executable, "-m", "pruning_course.lab"], check=True)"""


def pages(root: Path) -> list[Path]:
    """Every file that may name the repository, but pyproject.toml."""
    patterns = ("*.md", "*.cff", "environment.yml", "postBuild", "docs/**/*.md", "docs/conf.py", "notebooks/**/*")
    kinds = {".md", ".cff", ".yml", ".py", ".ipynb", ""}
    found = {path for pattern in patterns for path in root.glob(pattern)}
    return sorted(p for p in found if p.is_file() and p.suffix in kinds and ".ipynb_checkpoints" not in p.parts)


def moved(text: str, old: Home, new: Home) -> str:
    """`text` with every address of the old home replaced by the new one; nothing else is touched."""
    before, after = re.escape(old.repository), new.repository
    tag = re.escape(old.tag) + r"(?![\w.-])"
    text = re.sub(rf"(mybinder\.org/v2/gh/){before}/{tag}", rf"\g<1>{after}/{new.tag}", text)
    text = re.sub(rf"(github(?:\.com)?/){before}/(blob|tree)/{tag}", rf"\g<1>{after}/\g<2>/{new.tag}", text)
    text = re.sub(rf"(github\.com/){before}@{tag}", rf"\g<1>{after}@{new.tag}", text)
    return re.sub(rf"(github(?:\.com)?/){before}(?![\w-]|\.(?!git\b)\w)", rf"\g<1>{after}", text)


def move(repository: str, tag: str, root: Path = ROOT) -> list[Path]:
    """Give the course a new address everywhere; return the files that changed. A bad address: `ValueError`."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9_.-]+", repository):
        raise ValueError(f"REPO must look like owner/name, and is {repository!r}.")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", tag):
        raise ValueError(f"TAG must be the name of a tag such as v1, and is {tag!r}.")
    old, new = home(root), Home(repository, tag)
    # Everything is computed before anything is written.
    texts = {path: path.read_bytes().decode() for path in pages(root)}
    after = {path: moved(text, old, new) for path, text in texts.items()}
    for path in after:
        if path.suffix == ".ipynb":
            source = root / "notebooks/source" / f"{path.stem}.py"
            if source in texts:  # a current notebook stays current; a stale one stays stale
                after[path] = after[path].replace(sha256(texts[source]), sha256(after[source]))
    project = root / "pyproject.toml"
    texts[project] = project.read_bytes().decode()
    after[project] = texts[project].replace(f'\nrepository = "{old.repository}"', f'\nrepository = "{repository}"')
    after[project] = after[project].replace(f'\ntag = "{old.tag}"', f'\ntag = "{tag}"')
    changed = [path for path in after if after[path] != texts[path]]
    for path in changed:
        with written_beside(path) as beside:
            beside.write_bytes(after[path].encode())
            beside.chmod(path.stat().st_mode)
    return changed


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    try:
        for path in move(*([*sys.argv[1:], "", ""])[:2]):
            print(path.relative_to(ROOT))
    except ValueError as error:
        sys.exit(str(error))

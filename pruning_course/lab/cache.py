"""The cache of the dense model, which is trained once and checked each time it is read."""

import json
import os
import platform
import shutil
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pruning_course.files import written_beside
from pruning_course.lab.recipe import Facts, Recipe
from pruning_course.lab.wheels import sha256_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pruning_course.lab.encoder import MeanPooledClassifier

AGAIN = "python -m pruning_course.lab --again"
FACTS = "facts.json"
WEIGHTS = "model.safetensors"
NEEDED_BYTES = 200_000_000  # the model has 91 MB


class CacheError(RuntimeError):
    """The cached model cannot be read or written; the message is one sentence that says what to do."""


def cache_folder() -> Path:
    """Where the course keeps its files: PRUNING_COURSE_CACHE, or a folder in the user's cache folder."""
    import platformdirs

    return Path(os.environ.get("PRUNING_COURSE_CACHE") or platformdirs.user_cache_dir("pruning_course")).expanduser()


def dense_folder(recipe: Recipe | None = None) -> Path:
    """The folder of the dense model that this recipe makes, whether or not the folder exists."""
    return cache_folder() / f"dense-{(recipe or Recipe()).key()}"


def read_facts(folder: Path) -> Facts | None:
    """Check every file of a cached model and return the facts of the model; None if nothing is cached.

    Raises `CacheError` if a file is missing, damaged or no longer what was written.
    """
    if not folder.exists():
        return None
    try:
        facts: Facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        files = {name: (int(file["bytes"]), str(file["sha256"])) for name, file in facts["files"].items()}
        if WEIGHTS not in files or "f1" not in facts:
            raise KeyError(WEIGHTS)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise _damaged(FACTS) from None
    for name, (size, sha256) in files.items():
        if not _is_whole(folder / name, size, sha256):
            raise _damaged(name)
    return facts


def _is_whole(path: Path, size: int, sha256: str) -> bool:
    try:
        return path.stat().st_size == size and sha256_of(path) == sha256
    except OSError:  # the file is missing, or cannot be read
        return False


def _damaged(name: str) -> CacheError:
    return CacheError(f"The file {name} of the cached dense model is missing or damaged; run `{AGAIN}`.")


def prepare_dense(again: bool = False, recipe: Recipe | None = None) -> tuple[Path, Facts]:
    """The folder and the facts of the dense model, which is trained if it is not cached or if `again` is true.

    Raises `CacheError` if the cache is damaged or cannot be written, `WheelError` if a wheel is missing or damaged.
    """
    recipe = recipe or Recipe()
    folder = dense_folder(recipe)
    if again and folder.exists():
        check_room(folder.parent)
        shutil.rmtree(folder)
    facts = read_facts(folder)
    if facts is None:
        check_room(folder.parent)  # before the training, not after it
        print("No dense model is cached yet: training it once on this machine (about five minutes on two cores).")
        facts = _train_into(folder, recipe)
    return folder, facts


def check_room(folder: Path) -> None:
    """Make `folder` if need be. Raises `CacheError` if it cannot be written or has no room for the dense model."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with written_beside(folder / ".writable") as target:
            target.touch()
        (folder / ".writable").unlink()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise CacheError(
            f"The cache folder cannot be written ({error.strerror}); set PRUNING_COURSE_CACHE to one that can."
        ) from error
    if free < NEEDED_BYTES:
        raise CacheError(
            f"The cache folder has {free / 1e6:.0f} MB left and {NEEDED_BYTES / 1e6:.0f} MB are needed; "
            "set PRUNING_COURSE_CACHE to a folder with room."
        )


def _train_into(folder: Path, recipe: Recipe) -> Facts:
    from safetensors import SafetensorError

    from pruning_course.lab.encoder import load_tokenizer
    from pruning_course.lab.training import train_dense

    model, facts = train_dense(recipe)
    facts |= {"settings": asdict(recipe), "versions": _versions()}
    try:
        return save_dense(folder, model, load_tokenizer(), facts)
    except (OSError, SafetensorError) as error:
        raise CacheError(
            f"The trained model could not be cached ({error}); set PRUNING_COURSE_CACHE to a folder with room."
        ) from error


def save_dense(folder: Path, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", facts: Facts) -> Facts:
    """Write model, tokenizer and facts into one folder, completely or not at all; return the facts in that folder.

    If another process has finished the same folder in the meantime, its folder stays and its facts are returned.
    """
    from pruning_course.lab.encoder import no_loading_bar

    try:
        with written_beside(folder, folder=True) as target:
            with no_loading_bar():
                model.save_pretrained(target)
            tokenizer.save_pretrained(target)
            files = sorted(path for path in target.iterdir() if path.is_file())
            facts = facts | {
                "files": {path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)} for path in files}
            }
            (target / FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    except OSError:  # FileExistsError, or "not empty", when another process was a little faster
        if (theirs := read_facts(folder)) is None:
            raise
        return theirs
    return facts


def _versions() -> dict[str, str]:
    names = ("torch", "transformers", "scikit-learn", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def load_dense(recipe: Recipe | None = None) -> "MeanPooledClassifier":
    """The course's dense `MeanPooledClassifier`, float32, on the CPU, in eval mode; each call returns a new copy.

    If nothing is cached, the model is trained first, with a progress bar. The network is never used.
    Raises `CacheError` if the cache is damaged or cannot be written, `WheelError` if a wheel is missing or damaged.
    """
    folder, _ = prepare_dense(recipe=recipe)
    from pruning_course.lab.encoder import MeanPooledClassifier, no_loading_bar

    with no_loading_bar():
        model = MeanPooledClassifier.from_pretrained(folder, local_files_only=True)
    return model.eval()


def dense_facts(recipe: Recipe | None = None) -> Facts:
    """What is known of the dense model, which is trained first if nothing is cached.

    The keys: "f1": {"logistic" | "dense": {"micro_f1", "macro_f1"}} on validation, "seconds" of each step, "texts" in
    each part, "labels", "release" of the ontology, "settings", "versions", "files".
    Raises `CacheError` if the cache is damaged or cannot be written, `WheelError` if a wheel is missing or damaged.
    """
    return prepare_dense(recipe=recipe)[1]

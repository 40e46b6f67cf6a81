"""Fetch the malicious pickles that picklescan is tested with; they are not part of this project.

python tests/attacks/fetch_corpus.py
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = "https://github.com/mmaitre314/picklescan"
COMMIT = "f15d54da3dec9aa28a87ede82f87882bb80f1023"
FOLDERS = ("tests/data", "tests/data2")
CORPUS = Path(__file__).parent / "corpus"  # ignored by git


def fetch(repository: str = REPOSITORY, commit: str = COMMIT, corpus: Path = CORPUS) -> int:
    """Copy the corpus at one commit; return how many files it has."""
    with tempfile.TemporaryDirectory() as clone:
        git = ["git", "-C", clone]
        subprocess.run([*git, "init", "--quiet"], check=True)
        subprocess.run([*git, "fetch", "--quiet", "--depth=1", repository, commit], check=True)
        subprocess.run([*git, "checkout", "--quiet", "FETCH_HEAD", "--", *FOLDERS], check=True)
        shutil.rmtree(corpus, ignore_errors=True)
        for folder in FOLDERS:
            shutil.copytree(Path(clone, folder), corpus / Path(folder).name)
    return sum(path.is_file() for path in corpus.rglob("*"))


if __name__ == "__main__":
    print(f"{fetch(*sys.argv[1:])} files in {CORPUS}")

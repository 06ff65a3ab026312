"""Which commit runs, where that can be known without git."""

import json
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

UNKNOWN = "unknown"


@cache
def revision() -> str:
    """The commit's hash: of the checkout that runs, or that pip installed from; `unknown` for a released package."""
    root = Path(__file__).resolve().parents[3]
    return _of_checkout(root / ".git") or _of_installation() or UNKNOWN


def _of_checkout(git: Path) -> str | None:
    try:
        head = (git / "HEAD").read_text("ascii").strip()
        if not head.startswith("ref: "):
            return head
        branch = head.removeprefix("ref: ")
        loose = git / branch
        if loose.exists():
            return loose.read_text("ascii").strip()
        for line in (git / "packed-refs").read_text("ascii").splitlines():
            commit, _, name = line.partition(" ")
            if name == branch:
                return commit
    except (OSError, UnicodeDecodeError):
        pass
    return None


def _of_installation() -> str | None:
    try:
        source = distribution("hansard").read_text("direct_url.json")
    except PackageNotFoundError:
        return None
    return json.loads(source).get("vcs_info", {}).get("commit_id") if source else None

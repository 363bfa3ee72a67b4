"""Send a card and its models to the Hugging Face hub: only where a user asks for it."""

from __future__ import annotations

from edge_convnext.core.errors import (
    ArtifactError,
    MissingDependencyError,
    RecipeError,
    reason_of,
    shorten,
)
from edge_convnext.report.card.stated import HUB_NAME
from edge_convnext.report.card.write import Card

__all__ = ["check_repository", "push_card"]


def check_repository(name: str) -> None:
    """Refuse what is no name of a repository, before anything is written.

    Raises:
        RecipeError: It is not `OWNER/NAME`.
    """
    if not HUB_NAME.fullmatch(name):
        raise RecipeError(f"--push {shorten(repr(name), 60)} is no repository; pass OWNER/NAME")


def push_card(card: Card, repository: str, public: bool = False) -> str:
    """Upload the card and the models of a build, and nothing else.

    Args:
        card: Card that was written.
        repository: Name on the hub, `OWNER/NAME`; it is made where there is none.
        public: True makes a new repository public; one that is there stays as it is.

    Returns:
        Address of the commit.

    Raises:
        RecipeError: It is no name of a repository.
        MissingDependencyError: huggingface_hub is not installed.
        ArtifactError: The hub refused it, or can't be reached.
    """
    check_repository(repository)
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise MissingDependencyError(
            "card --push needs huggingface_hub: pip install 'edge-convnext[build]'"
        ) from error
    hub = HfApi()
    try:
        hub.create_repo(repository, private=not public, exist_ok=True)
        commit = hub.upload_folder(
            repo_id=repository,
            folder_path=card.folder,
            allow_patterns=[_literal(name) for name in card.published],
            commit_message="Model, card and figures by edge-convnext",
        )
    except Exception as error:  # the HTTP library, and so its errors, differ by version
        raise ArtifactError(
            f"{repository}: could not be pushed to the Hugging Face hub ({reason_of(error)}); "
            "`hf auth login` states who you are, and the card stays in "
            f"{card.folder}"
        ) from error
    return str(commit)


def _literal(name: str) -> str:
    """A pattern that is one name: the hub's client reads `*`, `?` and `[`."""
    return "".join(f"[{one}]" if one in "*?[" else one for one in name)

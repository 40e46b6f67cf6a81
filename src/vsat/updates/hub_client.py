"""All that vsat asks of huggingface_hub, with its errors in our words.

What that library's users know holds here as well, and is read by it alone: the token they logged in
with or HF_TOKEN, the cache in HF_HOME, HF_HUB_OFFLINE, and mirrors named by HF_ENDPOINT.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from vsat import __version__
from vsat.errors import HubError, MissingExtraError, VsatError
from vsat.files import map_os_errors
from vsat.progress import Progress
from vsat.updates.origin import HubReference

try:
    import httpx2
    from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
    from huggingface_hub import errors as hub_errors
    from tqdm import tqdm
except ImportError as error:
    raise MissingExtraError(
        "What talks to a hub is not installed.", hint="Run: pip install 'vsat[hub]'"
    ) from error

ANSWER_TIMEOUT_S = 20.0  # for a question that a hub answers in well under one
LIBRARY = {"library_name": "vsat", "library_version": __version__}

_NO_ANSWER = (httpx2.ConnectError, httpx2.TimeoutException, hub_errors.OfflineModeIsEnabled)
_UNREACHABLE = (
    httpx2.TransportError,
    hub_errors.OfflineModeIsEnabled,
    hub_errors.LocalEntryNotFoundError,
    hub_errors.RevisionResolutionError,
)


@dataclass(frozen=True)
class Listing:
    """The files of one commit.

    Attributes:
        commit: in hexadecimal.
        sizes: in bytes, by path.
        digests: SHA-256 by path, for those files whose digest the hub gives.
        from_cache: whether only what is in the cache is listed, since the hub gave no answer.
    """

    commit: str
    sizes: Mapping[str, int]
    digests: Mapping[str, str] = field(default_factory=dict)
    from_cache: bool = False


def list_files(wanted: HubReference) -> Listing:
    """The files of the commit that a revision means now.

    Where the hub gives no answer, those that the cache has of the commit that it meant last.

    Raises:
        HubError: there is no such repository or revision, it is private, gated or moved; or the hub
            gives no answer and the cache has none either.
    """
    with _in_our_words(wanted):
        try:
            return _ask(wanted)
        except _NO_ANSWER:
            return _list_cached(wanted)


def latest_commit(wanted: HubReference) -> str:
    """The commit that a revision means now, as the hub says; the cache is not believed.

    Raises:
        HubError: the hub gives no answer, or there is no such repository or revision for you.
    """
    with _in_our_words(wanted):
        return _ask(wanted).commit


def remember(wanted: HubReference, commit: str) -> None:
    """Let the library's cache know which commit a revision is, as offline mode needs it.

    Raises:
        HubError: the revision is another commit by now, or the hub gives no answer.
    """
    with _in_our_words(wanted):
        pinned = _api().resolve_revision(wanted.repository, revision=wanted.revision)
    if pinned.resolved != commit:
        raise HubError(
            f"{wanted.repository} was changed while it was being fetched.", hint="Run it again."
        )


def download(wanted: HubReference, commit: str, name: str, progress: Progress) -> Path:
    """Get one file into the library's cache, unless it is there already; its path there.

    Args:
        wanted: the repository.
        commit: which one of it.
        name: of the file.
        progress: gets bytes.

    Raises:
        HubError: the hub can't be reached or doesn't give it.
        StorageError: the disk is full, read-only or out of reach.
    """
    with _in_our_words(wanted):
        bar = _bar_for(progress)
        path = hf_hub_download(wanted.repository, name, revision=commit, tqdm_class=bar, **LIBRARY)
    return Path(path)


def cache_folder() -> Path:
    """Where the library keeps what it downloads."""
    return Path(constants.HF_HUB_CACHE)


def _api() -> HfApi:
    return HfApi(**LIBRARY)


def _ask(wanted: HubReference) -> Listing:
    found = _api().model_info(
        wanted.repository,
        revision=wanted.revision,
        files_metadata=True,
        timeout=ANSWER_TIMEOUT_S,
    )
    if found.id != wanted.repository:
        raise HubError(
            f"{wanted.repository} has moved: it is {found.id} now.",
            hint=f"If you trust whoever has it now: vsat pull hf:{found.id}",
        )
    if found.sha is None:
        raise ValueError("no commit is named")
    siblings = found.siblings or []
    return Listing(
        found.sha,
        {file.rfilename: file.size or 0 for file in siblings},
        {file.rfilename: file.lfs.sha256 for file in siblings if file.lfs},
    )


def _list_cached(wanted: HubReference) -> Listing:
    repository = wanted.repository
    pinned = _api().resolve_revision(repository, revision=wanted.revision, local_files_only=True)
    folder = Path(
        snapshot_download(repository, revision=pinned, local_files_only=True, allow_patterns=[])
    )
    sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
    return Listing(pinned.resolved, sizes, from_cache=True)


def _bar_for(progress: Progress) -> type[tqdm]:
    """What the library takes for a bar on the screen; it tells `progress` and draws nothing."""

    class Bar(tqdm):  # type: ignore[misc]  # of an extra, whose types are not looked at
        def __init__(self, *_: object, initial: float = 0, total: float = 0, **__: object) -> None:
            super().__init__(disable=True)
            self.done, self.of = initial, total

        def update(self, n: float | None = 1) -> None:
            self.done += n or 0
            progress(self.done, self.of or 0)

    return Bar


@contextmanager
def _in_our_words(wanted: HubReference) -> Iterator[None]:
    """Turn whatever the library raises into errors of ours; what it quotes is not repeated.

    Raises:
        HubError: the body failed for a reason that lies with the hub, the network or the request.
        StorageError: it failed for one that lies with the disk.
    """
    try:
        with map_os_errors(f"fetching {wanted.repository}"), _hub_errors_mapped(wanted):
            yield
    except (httpx2.HTTPError, ValueError, TypeError, KeyError) as error:
        if isinstance(error, VsatError):  # some of ours are ValueErrors too
            raise
        raise HubError(
            f"{_host()} doesn't answer as a hub does.",
            hint="Check the address in HF_ENDPOINT, and whether the network asks for a login.",
        ) from error


@contextmanager
def _hub_errors_mapped(wanted: HubReference) -> Iterator[None]:
    """Those errors of the library that have a class; some are also the system's."""
    try:
        yield
    except _UNREACHABLE as error:
        raise _out_of_reach(wanted) from error
    except hub_errors.HfHubHTTPError as error:
        raise _refused(wanted, error) from error


def _out_of_reach(wanted: HubReference) -> HubError:
    if constants.HF_HUB_OFFLINE:
        return HubError(
            f"{wanted} is not in the cache, and in offline mode the hub is not asked.",
            hint="Unset HF_HUB_OFFLINE and run it again.",
        )
    return HubError(
        f"{_host()} can't be reached, and {wanted} is not in the cache.",
        hint="Check the network and run it again.",
    )


def _refused(wanted: HubReference, error: "hub_errors.HfHubHTTPError") -> HubError:
    name = wanted.repository
    status = error.response.status_code
    match error:
        case hub_errors.GatedRepoError():
            message = f"{name} is given only to those who accepted its terms."
            hint = "Accept them on its page, log in with `hf auth login`, and run it again."
        case hub_errors.RepositoryNotFoundError():
            message = f"{_host()} has no repository {name}, or it is private."
            hint = "Check the name; for a private one, log in with `hf auth login`."
        case hub_errors.RevisionNotFoundError():
            message = f"{name} has no revision {wanted.revision}."
            hint = "Name one of its branches, tags or commits, or leave it out."
        case _ if status in (401, 403):
            message = f"{_host()} doesn't let you have {name} (status {status})."
            hint = "Log in with `hf auth login`, with a token that may read it."
        case _ if status in (404, 410):
            message = f"{_host()} doesn't have {name}, or not all that it lists of it."
            hint = "Check its page there."
        case _:
            message = f"{_host()} answered with status {status} for {name}."
            hint = "Run it again later."
    return HubError(message, hint=hint)


def _host() -> str:
    """The hub's name, without what else its address may hold, such as a password."""
    return urlsplit(constants.ENDPOINT).hostname or "The hub"

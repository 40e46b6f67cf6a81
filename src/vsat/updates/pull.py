"""From a hub into the registry: fetched, imported, and its origin remembered."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Generic, Protocol, TypeVar

from vsat.errors import UsageError, VsatError
from vsat.files import check_name
from vsat.progress import Progress, silent
from vsat.registry import ModelRegistry
from vsat.updates.hub import fetch_from_hub
from vsat.updates.origin import HubOrigin, parse_hub_reference

Imported = TypeVar("Imported")
ImportedOut = TypeVar("ImportedOut", covariant=True)


class Importer(Protocol[ImportedOut]):
    """What makes a version of a folder of published files."""

    def __call__(
        self,
        path: Path,
        registry: ModelRegistry,
        model_id: str | None = None,
        *,
        sample_rate: int | None = None,
        licence: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> ImportedOut:
        """Register what is at `path`; `metadata` is kept with the version."""
        ...


@dataclass(frozen=True)
class Pulled(Generic[Imported]):
    """What came of it.

    Attributes:
        model_id: the id that the importer was given.
        imported: what the importer answered.
        origin: the repository and the commit, as the version's metadata has them.
        from_cache: whether the hub gave no answer, so that its revision may mean another commit.
    """

    model_id: str
    imported: Imported
    origin: HubOrigin
    from_cache: bool


def pull(
    reference: str,
    registry: ModelRegistry,
    importer: Importer[Imported],
    *,
    model_id: str | None = None,
    sample_rate: int | None = None,
    licence: str | None = None,
    progress: Progress = silent,
) -> Pulled[Imported]:
    """Make a version of the model that a repository on a hub holds.

    Args:
        reference: hf:ORG/NAME[@REVISION].
        registry: where it is registered.
        importer: recognises, converts and registers it.
        model_id: None for the repository's NAME.
        sample_rate: Hz; goes before what the files say.
        licence: goes before what the files say.
        progress: gets the download's bytes.

    Raises:
        UsageError: the reference can't be one, or the repository's name is no model id.
        HubError: the hub can't be reached or doesn't give a usable model.
        DamagedError: a file is not what the hub says it is.
        StorageError: the disk is full, read-only or out of reach.
        VsatError: whatever the importer raises. Nothing is registered then.
    """
    chosen_id = check_name(model_id) if model_id is not None else model_id_of(reference)
    with TemporaryDirectory(prefix="vsat-pull-") as place:
        snapshot = fetch_from_hub(reference, Path(place, "files"), progress=progress)
        with _named(snapshot.folder, reference):
            imported = importer(
                snapshot.folder,
                registry,
                chosen_id,
                sample_rate=sample_rate,
                licence=licence,
                metadata=snapshot.origin.as_metadata(),
            )
    return Pulled(chosen_id, imported, snapshot.origin, snapshot.from_cache)


@contextmanager
def _named(folder: Path, reference: str) -> Iterator[None]:
    """Let errors name the repository, which the person knows, and not a folder that is gone."""
    try:
        yield
    except VsatError as error:
        error.message = error.message.replace(str(folder), reference)
        raise


def model_id_of(reference: str) -> str:
    """The id that a repository's model gets where the person names none.

    >>> model_id_of("hf:JorisCos/ConvTasNet_Libri2Mix_sepclean_16k")
    'ConvTasNet_Libri2Mix_sepclean_16k'

    Raises:
        UsageError: the reference can't be one, or the name can't be an id.
    """
    name = parse_hub_reference(reference).repository.partition("/")[2]
    try:
        return check_name(name)
    except UsageError as error:
        raise UsageError(error.message, hint="Choose an id with --as ID.") from error

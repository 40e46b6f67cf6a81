"""`ModelRegistry`: a person's models and their versions, and which one is current."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vsat import settings
from vsat.bundle import Bundle
from vsat.errors import ModelNotFoundError, RegistryError, UsageError
from vsat.progress import Progress
from vsat.registry import catalogue, damage, legacy, packaged
from vsat.registry.intake import read_submission
from vsat.registry.listing import Listing
from vsat.registry.records import Change, VersionRecord, particulars_in, time_text
from vsat.registry.reference import Reference, parse_reference
from vsat.registry.shelf import SelfTest, Shelf, Terms
from vsat.registry.store import Store
from vsat.registry.switching import Switching
from vsat.registry.verification import Damage, Verification

if TYPE_CHECKING:
    from vsat.registry.evaluations import Evaluations
    from vsat.registry.upkeep import Upkeep

DATABASE_NAME = "registry.db"
MODELS_NAME = "models"


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _run_self_test(bundle: Bundle) -> None:
    from vsat.engines import self_test  # only here: an engine takes long to load

    self_test.check(bundle)


class ModelRegistry:
    """Models and their versions under one folder. Any number of threads and processes may use it.

    A model may be asked for as `id` or as `id@version`.

    Args:
        registry_path: the folder, or a registry in the old JSON form, whose folder is then used and
            whose models are taken over once. None: VSAT_HOME, else the platform's folder.
        self_test: loads and runs a separation bundle; raises if it doesn't work. It is called
            before a version becomes current, once for each content.
        clock: gives the time, aware of its zone.
        package_folder: where the models that ship with vsat are, a folder for each.
    """

    def __init__(
        self,
        registry_path: str | Path | None = None,
        *,
        self_test: SelfTest = _run_self_test,
        clock: Callable[[], datetime] = _utc_now,
        package_folder: Path = packaged.FOLDER,
    ) -> None:
        path = settings.home(registry_path)
        self._old_form, self.home = legacy.locate(path)
        self._old_form_named = self._old_form == path  # not just found in the folder
        self._clock = clock
        self._package_folder = package_folder
        self._ready: set[str] = set()  # ids that need nothing before they are read
        folder = self.home / MODELS_NAME
        self._store = Store(
            self.home / DATABASE_NAME, self._now, self._check_not_lost, particulars_in(folder)
        )
        self._shelf = Shelf(self._store, folder, self_test)
        self._listing = Listing(self._store, folder)
        self._switching = Switching(self._shelf, self._listing, self._change)

    def __repr__(self) -> str:
        return f"ModelRegistry({str(self.home)!r})"

    def register_model(
        self,
        model_id: str,
        model_path: str | Path,
        metadata: Mapping[str, Any] | None = None,
        *,
        make_current: bool = False,
        because: str = "",
        before_eviction: Callable[[Sequence[VersionRecord]], None] | None = None,
    ) -> int:
        """Add a version; a model's first one becomes current, later ones don't by themselves.

        Args:
            model_id: of a new model, or of one that gets a new version.
            model_path: a bundle's folder, an ONNX graph, or with the task 'other' any single file.
            metadata: whatever JSON can hold; kept as given. For a bare graph it must give
                `sample_rate` (Hz), and `sources` where the graph doesn't fix them; it may give
                `licence` and `description`. None or empty for a bundle: its own are kept.
            make_current: make it the current version in the same step: both happen, or neither.
            because: why, for the history.
            before_eviction: where a quota is set, called with the versions that have to go for this
                one to fit, before anything is done; what it raises prevents all of it.

        Returns:
            The version's number: one more than the last one that this model ever had.

        Raises:
            UsageError: the id is unsafe, or path or metadata can't make a version.
            BundleError: the bundle's folder is not whole.
            SelfTestError: it would become current and doesn't work.
            StorageError: the disk is full, read-only or out of reach; or the quota is, and no
                version may go.
        """
        name, number = parse_reference(model_id)
        if number is not None:
            raise UsageError("A new version's number can't be chosen.", hint=f"Write {name!r}.")
        submission = read_submission(name, model_path, metadata)
        self._prepare(name)
        change = self._change("register", because)
        terms = Terms(replaces=make_current)
        if self._store.writable and self.upkeep.quota.limit() is not None:
            return self.upkeep.quota.admit(submission, change, before_eviction, terms)
        return self._shelf.add(submission, change, terms)

    def get_model_path(self, model_id: str, version: int | None = None) -> Path:
        """The file that an engine opens, of the current version or of the one named.

        Raises:
            ModelNotFoundError: there is no such model or version.
            DamagedError: it was found damaged and has not been repaired.
        """
        if version is None and model_id.__class__ is str and model_id in self._ready:
            found = self._store.row(catalogue.CURRENT_MAIN, (model_id,))
            if found is not None:
                return Path(f"{self._shelf.folder}/{model_id}/{found[0]}/{found[1]}")
        record = self.resolve(model_id, version)
        damage.check_not_quarantined(record)
        self._ready.add(record.model_id)
        return record.main_path

    def list_models(
        self, *, limit: int | None = None, offset: int = 0
    ) -> dict[str, dict[str, int]]:
        """Models by id, each with its `current_version` and its `versions_count`.

        Args:
            limit: at most so many; None for all.
            offset: so many are left out at the beginning.

        Raises:
            UsageError: one of them is no number from 0 on.
        """
        self._prepare(None)
        return self._listing.models(limit, offset)

    def get_model_versions(
        self, model_id: str, *, limit: int | None = None, offset: int = 0
    ) -> list[dict[str, Any]]:
        """A model's versions, oldest first: version, path (text), metadata and created_at.

        Args:
            model_id: which one.
            limit: at most so many; None for all.
            offset: so many are left out at the beginning.

        Raises:
            ModelNotFoundError: there is no such model or version.
            UsageError: limit or offset is no number from 0 on.
        """
        return self._listing.versions(self._existing(model_id), limit, offset)

    def find_versions(
        self,
        filter: str | None = None,  # noqa: A002 - what it is called everywhere
        *,
        model_id: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[VersionRecord]:
        """The versions that pass a filter, by model and number.

        Args:
            filter: such as "tuned and val_si_sdr_db > 8"; see `vsat.registry.filtering`.
            model_id: of this model only.
            limit: at most so many; None for all.
            offset: so many are left out at the beginning.

        Raises:
            ModelNotFoundError: there is no such model or version.
            UsageError: the filter can't be understood.
        """
        wanted = None if model_id is None else self._existing(model_id)
        self._prepare(None)
        return self._listing.records(wanted, filter, limit, offset)

    def set_current_version(
        self, model_id: str, version: int | None = None, *, because: str = ""
    ) -> None:
        """Make a version current, after its files and its self-test were found good.

        Nothing happens, and nothing is noted, if it is current already.

        Raises:
            ModelNotFoundError: there is no such model or version.
            DamagedError: its files have changed since they were registered.
            SelfTestError: it doesn't work.
            StorageError: the home can't be written.
        """
        wanted = parse_reference(model_id, version)
        if wanted.version is None:
            raise UsageError("No version is named.", hint="Write id@version, for example x@2.")
        change = self._change("use", because)
        self._switching.use(self.resolve(*wanted), change)

    def rollback(
        self, model_id: str, *, to: str | datetime | None = None, because: str = ""
    ) -> int:
        """Make the version current again that was so before; return its number.

        Rolling back again goes further back: after 1, 2, 3 were current in turn it gives 2, then 1.
        Deleted and damaged versions are passed over.

        Args:
            model_id: of which model.
            to: a time, as ISO 8601 in UTC: back to what was current then, and to nothing else. A
                date alone means the end of that day.
            because: why, for the history.

        Raises:
            ModelNotFoundError: there is no such model; or the version of that time was deleted.
            RegistryError: no version that still exists was current before, or none at that time.
            DamagedError: that version's files have changed since they were registered.
            SelfTestError: it no longer works.
            StorageError: the home can't be written.
        """
        name = self._without_version(model_id)
        change = self._change("rollback", because)
        if to is None:
            return self._switching.back(name, change)
        from vsat.registry.moments import moment_text

        return self._switching.back_to(name, moment_text(to, end_of_day=True), change)

    def version_at(self, model_id: str, moment: str | datetime) -> int:
        """The number of the version that was current at a time; it may be deleted since.

        Args:
            model_id: of which model.
            moment: ISO 8601 in UTC; a date alone means the end of that day.

        Raises:
            ModelNotFoundError: there is no such model.
            RegistryError: the model had no current version then.
        """
        from vsat.registry.moments import moment_text

        name = self._without_version(model_id)
        return self._switching.current_at(name, moment_text(moment, end_of_day=True))

    def history(
        self,
        model_id: str | None = None,
        *,
        since: str | datetime | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[dict[str, Any]]:
        """What happened to a model, or to all of them, oldest first; it is only ever added to.

        Each entry has at, model_id, action (register, use, rollback, delete, prune, evict, import,
        quarantine, repair, rebuild), version, previous and current (the current version before and
        after), because and by.

        Args:
            model_id: of this model or version only.
            since: not before this time, ISO 8601 in UTC.
            limit: the newest so many; None for all.
            offset: of the newest so many are left out.

        Raises:
            ModelNotFoundError: there is no such model or version.
            UsageError: since, limit or offset can't be one.
        """
        from vsat.registry.moments import moment_text

        start = None if since is None else moment_text(since, end_of_day=False)
        wanted = None if model_id is None else self._existing(model_id)
        self._prepare(None)
        return self._listing.history(wanted, start, limit, offset)

    def delete_version(
        self, model_id: str, version: int | None = None, *, because: str = ""
    ) -> None:
        """Delete a version that is not current. Its number is never given out again.

        Raises:
            ModelNotFoundError: there is no such model or version.
            InUseError: it is the current one.
            StorageError: the home can't be written.
        """
        wanted = parse_reference(model_id, version)
        if wanted.version is None:
            raise UsageError("No version is named.", hint="Write id@version, for example x@2.")
        self._shelf.remove(self.resolve(*wanted), self._change("delete", because))

    def verify(
        self, model_id: str | None = None, *, progress: Progress | None = None
    ) -> list[Damage]:
        """Hash every file again; for each that is damaged its model_id, version, file, problem.

        Damaged versions are quarantined, where the home can be written: they are not loaded, and
        can't be made current, until `upkeep.repair` has mended them.

        Raises:
            ModelNotFoundError: there is no such model or version.
        """
        self._prepare(None)
        name, number = (None, None) if model_id is None else self._existing(model_id)
        found = Verification(self._store, self._shelf.folder).run(name, number, progress)
        self._quarantine(found)
        return found

    def resolve(self, model_id: str, version: int | None = None) -> VersionRecord:
        """The record of the current version, or of the one named.

        Raises:
            ModelNotFoundError: there is no such model or version.
        """
        wanted = parse_reference(model_id, version)
        self._prepare(wanted.model_id)
        return self._listing.record(wanted)

    def records(self, model_id: str) -> list[VersionRecord]:
        """The records of a model's versions, oldest first, or of the one version named.

        Raises:
            ModelNotFoundError: there is no such model or version.
        """
        return self._listing.records(self._existing(model_id))

    def get_bundle(self, model_id: str, version: int | None = None) -> Bundle:
        """A version's bundle, its files hashed again; one that is damaged is quarantined.

        Raises:
            ModelNotFoundError: there is no such model or version.
            DamagedError: its files are not what was registered, or were found not to be before.
        """
        return damage.load(self.resolve(model_id, version), self._store, self._change("quarantine"))

    def note_self_test(self, bundle: Bundle) -> None:
        """Note that a model has just been run and works, so that it isn't tried again for that.

        Raises:
            StorageError: the home can't be written.
        """
        self._shelf.note_works(bundle, self._now())

    def measurement(self, digest: str, key: str) -> float | None:
        """What was measured of a content on this kind of machine; None if nothing was."""
        row = self._store.row(
            "SELECT value FROM measurements WHERE digest = ? AND machine = ? AND key = ?",
            (digest, settings.machine_id(), key),
        )
        return None if row is None else float(row[0])

    def measurements(self, digest: str) -> dict[str, float]:
        """All that was measured of a content on this kind of machine, by key."""
        rows = self._store.rows(
            "SELECT key, value FROM measurements WHERE digest = ? AND machine = ? ORDER BY key",
            (digest, settings.machine_id()),
        )
        return {str(key): float(value) for key, value in rows}

    def keep_measurement(self, digest: str, key: str, value: float) -> None:
        """Keep what was measured; a home that can't be written keeps nothing, and says nothing."""
        if not self._store.writable:
            return
        row = (digest, settings.machine_id(), key, float(value), self._now())
        with self._store.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO measurements VALUES (?, ?, ?, ?, ?)", row)

    def left_over(self) -> list[Path]:
        """Folders that crashed runs left behind and that no version needs."""
        return self._shelf.left_over()

    def remove_left_over(self) -> list[Path]:
        """Remove what `left_over` names; return it.

        Raises:
            StorageError: the home can't be written.
        """
        self._store.check_writable()
        return self._shelf.remove_left_over()

    def without_record(self) -> list[Path]:
        """Versions' folders that the database does not know, as after an older one was put back."""
        return self._shelf.without_record()

    @property
    def writable(self) -> bool:
        """Whether this home can be written to; if not, it still reads and separates."""
        return self._store.writable

    def integrity_check(self) -> list[str]:
        """What is wrong with the database's own structure; empty if nothing is.

        Raises:
            RegistryError: it is too damaged to be looked at.
        """
        self._prepare(None)
        found = [str(row[0]) for row in self._store.rows("PRAGMA integrity_check(5)")]
        lost = self._store.rows("PRAGMA foreign_key_check")
        return [
            *(problem for problem in found if problem != "ok"),
            *(f"a row of {row[0]} belongs to nothing" for row in lost),
        ]

    @cached_property
    def upkeep(self) -> "Upkeep":
        """What keeps the home in order over years: repair, space, quota, copies of it all."""
        from vsat.registry.upkeep import Upkeep  # only here: most runs don't need it

        return Upkeep(self._shelf, self.home, self._package_folder, self._change)

    @cached_property
    def evaluations(self) -> "Evaluations":
        """Test sets, what versions scored on them, and what listeners preferred."""
        from vsat.registry.evaluations import Evaluations  # only here: most runs don't need it

        return Evaluations(self._store, self._now)

    def close(self) -> None:
        """Close this process's connections to the database; the next use opens it again."""
        self._store.close()

    def _prepare(self, name: str | None) -> None:
        """Let in what comes by itself: an old registry, and the packaged model at its first use."""
        if self._old_form is not None:
            path, self._old_form = self._old_form, None
            change = self._change("import", f"from {path}")
            legacy.import_once(path, self._shelf, change, named=self._old_form_named)
        if name == packaged.DEFAULT_MODEL_ID and name not in self._ready:
            packaged.admit(self._package_folder / name, self._shelf, self._change("register"))
            self._ready.add(name)

    def _existing(self, model_id: str) -> Reference:
        wanted = parse_reference(model_id)
        self.resolve(*wanted)
        return wanted

    def _without_version(self, model_id: str) -> str:
        wanted = self._existing(model_id)
        if wanted.version is not None:
            raise UsageError(
                "A model is asked for here, not a version.",
                hint=f"Write {wanted.model_id!r}; a version is chosen with `vsat use`.",
            )
        return wanted.model_id

    def _quarantine(self, found: Sequence[Damage]) -> None:
        if not found or not self._store.writable:
            return
        for name, number in dict.fromkeys((d["model_id"], d["version"]) for d in found):
            problems = [
                f"{d['file']} {d['problem']}"
                for d in found
                if (d["model_id"], d["version"]) == (name, number)
            ]
            change = self._change("quarantine", "; ".join(problems))
            with suppress(ModelNotFoundError):  # it was deleted meanwhile
                record = self._listing.record(Reference(str(name), int(str(number))))
                damage.quarantine(record, self._store, change)

    def _check_not_lost(self) -> None:
        if self._shelf.has_versions():
            raise RegistryError(
                f"{self._store.path} is gone, but the folders of its versions are still there.",
                hint="Make a new one from these folders with `vsat doctor --rebuild`, or get a "
                "backup back with `vsat restore`.",
            )

    def _now(self) -> str:
        return time_text(self._clock())

    def _change(self, action: str, because: str = "") -> Change:
        if not isinstance(because, str):
            raise UsageError("The reason is not text.", hint="Write it as text.")
        return Change(action, self._now(), settings.person(), because)

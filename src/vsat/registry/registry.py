"""`ModelRegistry`: a person's models and their versions, and which one is current."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vsat import settings
from vsat.bundle import Bundle, read_bundle
from vsat.errors import DamagedError, RegistryError, UsageError
from vsat.progress import Progress
from vsat.registry import catalogue, legacy, packaged
from vsat.registry.catalogue import Change, VersionRecord
from vsat.registry.intake import read_submission
from vsat.registry.reference import (
    Reference,
    no_such_model,
    no_such_version,
    parse_reference,
)
from vsat.registry.shelf import SelfTest, Shelf, Terms
from vsat.registry.store import Store
from vsat.registry.verification import Damage, Verification

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
        self._store = Store(self.home / DATABASE_NAME, self._now, self._check_not_lost)
        self._shelf = Shelf(self._store, self.home / MODELS_NAME, self_test)

    def __repr__(self) -> str:
        return f"ModelRegistry({str(self.home)!r})"

    def register_model(
        self,
        model_id: str,
        model_path: str | Path,
        metadata: Mapping[str, Any] | None = None,
        *,
        make_current: bool = False,
    ) -> int:
        """Add a version; a model's first one becomes current, later ones don't by themselves.

        Args:
            model_id: of a new model, or of one that gets a new version.
            model_path: a bundle's folder, an ONNX graph, or with the task 'other' any single file.
            metadata: whatever JSON can hold; kept as given. For a bare graph it must give
                `sample_rate` (Hz), and `sources` where the graph doesn't fix them; it may give
                `licence` and `description`. None or empty for a bundle: its own are kept.
            make_current: make it the current version in the same step: both happen, or neither.

        Returns:
            The version's number: one more than the last one that this model ever had.

        Raises:
            UsageError: the id is unsafe, or path or metadata can't make a version.
            BundleError: the bundle's folder is not whole.
            SelfTestError: it would become current and doesn't work.
            StorageError: the disk is full, read-only or out of reach.
        """
        name, number = parse_reference(model_id)
        if number is not None:
            raise UsageError("A new version's number can't be chosen.", hint=f"Write {name!r}.")
        submission = read_submission(name, model_path, metadata)
        self._prepare(name)
        terms = Terms(replaces=make_current)
        return self._shelf.add(submission, self._change("register"), terms)

    def get_model_path(self, model_id: str, version: int | None = None) -> Path:
        """The file that an engine opens, of the current version or of the one named.

        Raises:
            ModelNotFoundError: there is no such model or version.
        """
        if version is None and model_id.__class__ is str and model_id in self._ready:
            found = self._store.row(catalogue.CURRENT_MAIN, (model_id,))
            if found is not None:
                return Path(f"{self._shelf.folder}/{model_id}/{found[0]}/{found[1]}")
        record = self.resolve(model_id, version)
        self._ready.add(record.model_id)
        return record.main_path

    def list_models(self) -> dict[str, dict[str, int]]:
        """Every model, by id, with its `current_version` and its `versions_count`."""
        self._prepare(None)
        rows = self._store.rows(
            "SELECT model_id, current_version, versions_count FROM models ORDER BY model_id"
        )
        return {
            name: {"current_version": current, "versions_count": count}
            for name, current, count in rows
        }

    def get_model_versions(self, model_id: str) -> list[dict[str, Any]]:
        """A model's versions, oldest first: version, path (text), metadata and created_at.

        Raises:
            ModelNotFoundError: there is no such model or version.
        """
        wanted = self._existing(model_id)
        one = "" if wanted.version is None else " AND v.version = ?"
        rows = self._store.rows(
            f"{catalogue.LISTED}{one} ORDER BY v.version", [part for part in wanted if part]
        )
        folder = str(self._shelf.folder / wanted.model_id)
        return [catalogue.listed_from(row, folder) for row in rows]

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
        record = self.resolve(*wanted)
        if record.is_current:
            return
        self._check_fit(record, change.at)
        with self._store.writing() as connection:
            key = catalogue.key_of(connection, *wanted)
            if key is None:
                raise self._not_found(wanted)
            if catalogue.current_of(connection, key) != wanted.version:
                catalogue.point_at(connection, key, record.version, change)

    def rollback(self, model_id: str, *, because: str = "") -> int:
        """Make the version current again that was so before; return its number.

        Rolling back again goes further back: after 1, 2, 3 were current in turn it gives 2, then 1.
        Deleted versions are passed over.

        Raises:
            ModelNotFoundError: there is no such model.
            RegistryError: no version that still exists was current before.
            DamagedError: that version's files have changed since they were registered.
            SelfTestError: it no longer works.
            StorageError: the home can't be written.
        """
        name = self._without_version(model_id)
        change = self._change("rollback", because)
        while True:
            with self._store.writing() as connection:
                target, _ = catalogue.version_before(connection, self._key(connection, name))
            self._check_fit(self.resolve(name, target), change.at)
            with self._store.writing() as connection:
                key = self._key(connection, name)
                if catalogue.version_before(connection, key)[0] == target:
                    return catalogue.step_back(connection, key, change)

    def history(self, model_id: str | None = None) -> list[dict[str, Any]]:
        """What happened to a model, or to all of them, oldest first; it is only ever added to.

        Each entry has at, model_id, action (register, use, rollback, delete, import), version,
        previous and current (the current version before and after), because and by.

        Raises:
            ModelNotFoundError: there is no such model or version.
        """
        where = ""
        parameters: list[object] = []
        if model_id is not None:
            wanted = self._existing(model_id)
            where, parameters = " WHERE m.model_id = ?", [wanted.model_id]
            if wanted.version is not None:
                where += " AND h.version = ?"
                parameters.append(wanted.version)
        else:
            self._prepare(None)
        rows = self._store.rows(f"{catalogue.HISTORY}{where} ORDER BY h.event", parameters)
        return [dict(zip(catalogue.HISTORY_KEYS, row, strict=True)) for row in rows]

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

        Raises:
            ModelNotFoundError: there is no such model or version.
        """
        self._prepare(None)
        verification = Verification(self._store, self._shelf.folder)
        if model_id is None:
            return verification.run(None, None, progress)
        return verification.run(*self._existing(model_id), progress)

    def resolve(self, model_id: str, version: int | None = None) -> VersionRecord:
        """The record of the current version, or of the one named.

        Raises:
            ModelNotFoundError: there is no such model or version.
        """
        wanted = parse_reference(model_id, version)
        self._prepare(wanted.model_id)
        number = "m.current_version" if wanted.version is None else "?"
        row = self._store.row(
            f"{catalogue.RECORD} WHERE m.model_id = ? AND v.version = {number}",
            [part for part in wanted if part is not None],
        )
        if row is None:
            raise self._not_found(wanted)
        return catalogue.record_from(row, self._shelf.folder)

    def records(self, model_id: str) -> list[VersionRecord]:
        """The records of a model's versions, oldest first, or of the one version named.

        Raises:
            ModelNotFoundError: there is no such model or version.
        """
        wanted = self._existing(model_id)
        where = " AND v.version = ?" if wanted.version is not None else ""
        rows = self._store.rows(
            f"{catalogue.RECORD} WHERE m.model_id = ?{where} ORDER BY v.version",
            [part for part in wanted if part is not None],
        )
        return [catalogue.record_from(row, self._shelf.folder) for row in rows]

    def get_bundle(self, model_id: str, version: int | None = None) -> Bundle:
        """A version's bundle, its files hashed again.

        Raises:
            ModelNotFoundError: there is no such model or version.
            DamagedError: its files are not what was registered.
        """
        return self._sound_bundle(self.resolve(model_id, version))

    def measurement(self, digest: str, key: str) -> float | None:
        """What was measured of a content on this kind of machine; None if nothing was."""
        row = self._store.row(
            "SELECT value FROM measurements WHERE digest = ? AND machine = ? AND key = ?",
            (digest, settings.machine_id(), key),
        )
        return None if row is None else float(row[0])

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
                "Rolling back takes no version.", hint="Use set_current_version to choose one."
            )
        return wanted.model_id

    def _key(self, connection: catalogue.Connection, name: str) -> int:
        key = catalogue.key_of(connection, name)
        if key is None:
            raise self._not_found(Reference(name, None))
        return key

    def _not_found(self, wanted: Reference) -> Exception:
        rows = self._store.rows(
            "SELECT version FROM versions v JOIN models m ON m.model_key = v.model_key"
            " WHERE m.model_id = ? ORDER BY version DESC LIMIT 20",
            (wanted.model_id,),
        )
        if rows and wanted.version is not None:
            return no_such_version(wanted.model_id, wanted.version, [row[0] for row in rows])
        models = self._store.rows("SELECT model_id FROM models ORDER BY model_id LIMIT 1000")
        return no_such_model(wanted.model_id, [row[0] for row in models])

    def _check_fit(self, record: VersionRecord, at: str) -> None:
        self._store.check_writable()
        self._shelf.check_works(self._sound_bundle(record), at)

    def _sound_bundle(self, record: VersionRecord) -> Bundle:
        bundle = read_bundle(record.path, verify=True)
        if bundle.manifest.digest != record.digest:
            raise DamagedError(
                f"The manifest of {record.model_id}@{record.version} has changed.",
                hint="Register the version again from where it came.",
            )
        return bundle

    def _check_not_lost(self) -> None:
        if self._shelf.has_versions():
            raise RegistryError(
                f"{self._store.path} is gone, but the folders of its versions are still there.",
                hint="Put a backup of that file back, or move the folder 'models' elsewhere and "
                "register its versions again.",
            )

    def _now(self) -> str:
        return catalogue.time_text(self._clock())

    def _change(self, action: str, because: str = "") -> Change:
        if not isinstance(because, str):
            raise UsageError("The reason is not text.", hint="Write it as text.")
        return Change(action, self._now(), settings.person(), because)

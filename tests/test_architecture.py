"""The house: floors, no cycles, and what `import vsat` may not load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "vsat"

FLOORS = [
    {"errors", "settings", "progress", "files"},
    {"bundle", "audio", "networks", "metrics"},
    {"engines"},
    {"registry", "assembly"},
    {"separator", "picture", "tuning", "convert", "updates"},
    {"qualification", "estimation"},
    {"cli"},
    {"__main__"},
]
SIBLINGS = {  # imports within a floor that the design wants
    ("settings", "errors"), ("progress", "errors"), ("files", "errors"),
}  # fmt: skip
RUNTIMES = {
    "torch": {"networks", "engines", "assembly", "tuning", "convert", "updates"},
    "onnx": {"networks", "convert"},
    "openvino": {"engines"},
    "onnxruntime": {"engines"},
    "pyroomacoustics": {"tuning"},
    "PIL": {"picture"},
    "sqlite3": {"registry"},
    "huggingface_hub": {"updates"},
    "httpx2": {"updates"},
    "yaml": {"convert"},
}


def room_of(path):
    relative = path.relative_to(SOURCE)
    return relative.parts[0].removesuffix(".py")


def modules():
    return [path for path in sorted(SOURCE.rglob("*.py")) if path != SOURCE / "__init__.py"]


def imports_of(path):
    """Full names of all that a module imports, also inside functions and for type checking."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from by_name(node.value)


def by_name(text):
    """Modules that are imported by name are constants of this form."""
    return [text] if text.startswith("vsat.") and text.replace(".", "").isidentifier() else []


def floor_of(room):
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def test_every_module_has_a_floor():
    assert {room_of(path) for path in modules()} <= set().union(*FLOORS)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_down(path):
    room = room_of(path)
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] != "vsat" or len(parts) < 2 or parts[1] in (room, "__version__"):
            continue
        if parts[1] not in set().union(*FLOORS):  # a public name of the package itself
            assert room in ("cli", "__main__"), f"{path} imports {name} from the top"
            continue
        below = floor_of(parts[1]) < floor_of(room)
        assert below or (room, parts[1]) in SIBLINGS, f"{path} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_each_runtime_has_few_importers(path):
    for name in imports_of(path):
        allowed = RUNTIMES.get(name.split(".")[0])
        assert allowed is None or room_of(path) in allowed, f"{path} imports {name}"


def test_only_settings_reads_the_environment():
    readers = [
        path
        for path in modules()
        if "os.environ" in path.read_text() or "os.getenv" in path.read_text()
    ]
    assert [path.name for path in readers] == ["settings.py"]


def test_there_are_no_cycles_between_modules():
    names = {
        "vsat." + ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
        for path in modules()
    }
    edges = {}
    for path in modules():
        tree = ast.parse(path.read_text())
        name = "vsat." + ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        name = name.removesuffix(".__init__")
        found = set()
        for node in tree.body:  # at the top: what runs when the module is imported
            if isinstance(node, ast.ImportFrom):
                full = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= full & names or {node.module} & names
        edges[name] = found - {name}
    seen, done = [], set()

    def visit(name):
        assert name not in seen, " -> ".join([*seen[seen.index(name) :], name])
        if name in done:
            return
        seen.append(name)
        for other in sorted(edges[name]):
            visit(other)
        seen.pop()
        done.add(name)

    for name in sorted(names):
        visit(name)


def loaded_after(statement):
    code = f"import sys\n{statement}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_vsat_loads_no_engine_no_torch_no_windows_and_no_web():
    loaded = loaded_after("import vsat; vsat.VsatError")
    heavy = {
        "torch", "openvino", "onnxruntime", "onnx", "tkinter", "starlette", "uvicorn", "numpy",
        "soundfile", "PIL", "rich", "sqlite3",
    }  # fmt: skip
    assert not loaded & heavy


def test_the_registry_loads_no_engine_and_no_numpy():
    loaded = loaded_after("from vsat import ModelRegistry")
    assert not loaded & {"torch", "openvino", "onnxruntime", "numpy", "PIL", "rich"}


def test_the_separator_loads_no_torch():
    assert "torch" not in loaded_after("from vsat import VoiceSeparator")


def test_public_names_are_what_all_says():
    import vsat

    for name in vsat.__all__:
        assert getattr(vsat, name).__doc__, name
    assert sorted(vsat.__all__) == vsat.__all__ or set(vsat._HOMES) <= set(vsat.__all__)
    with pytest.raises(AttributeError):
        _ = vsat.Nonsense


def test_the_error_tree_is_drawn_in_its_docstring():
    from vsat import errors

    classes = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert all(issubclass(kind, errors.VsatError) for kind in classes.values())
    assert all(name in errors.__doc__ for name in classes)
    assert "try this" in str(errors.AudioError("It broke.", hint="try this"))

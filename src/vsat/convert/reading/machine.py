"""Pickles, read by a machine that can build data and nothing else.

A pickle is a program for a small stack machine. Python's own runs it and calls whatever the program
names. This one knows a closed list of names, each of which stands for a value or for one of our own
inert constructors; every other name becomes a note of what the file wanted, and the reading goes on
without it, so that a refusal can name them all. No module is imported, no class is looked up.

References:
    Python's `pickletools`, which documents every operation and splits a pickle into them.
"""

import pickletools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar

MAX_OPERATIONS = 2_000_000  # a training state of a large separator has 0.1 million
MAX_UNKNOWN_NAMES = 1_000  # that are noted


@dataclass(frozen=True)
class Constructor:
    """What a known name stands for when it is called: a function of ours."""

    make: Callable[..., object]


@dataclass(frozen=True)
class Unknown:
    """What an unknown name stands for, and whatever the file does with it."""

    name: str


class Mutable:
    """Something that a file may fill after it was made."""

    def fill(self, state: object) -> None:
        """Take what the file says of it.

        Raises:
            ValueError: it can't be that.
        """
        raise NotImplementedError


class PickleMachine:
    """Reads pickles of one file.

    Args:
        known: what names stand for, by `module.name`: plain values, or `Constructor`s.
        at_persistent_id: what a reference to something outside the pickle stands for.

    Attributes:
        unknown_names: those that were asked for and are not known, in order.
    """

    def __init__(
        self, known: Mapping[str, object], at_persistent_id: Callable[[object], object]
    ) -> None:
        self._known = known
        self._at_persistent_id = at_persistent_id
        self.unknown_names: dict[str, None] = {}

    def read(self, file: BinaryIO) -> object:
        """The value of the pickle that begins here; leaves the file behind its end.

        Raises:
            ValueError: it is not a pickle, or does what no data needs.
        """
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of escapes in text that Python will refuse
                self._run(file)
        except (IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"{type(error).__name__} in a pickle") from error
        (value,) = self._stack
        return value

    def _run(self, file: BinaryIO) -> None:
        operations = pickletools.genops(_Bounded(file))  # type: ignore[arg-type]
        for count, (operation, argument, _) in enumerate(operations):
            if count > MAX_OPERATIONS:
                raise ValueError("it has too many operations")
            self._do(operation.name, argument)

    def _do(self, name: str, argument: Any) -> None:
        if name in _LITERALS:
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name]())
        elif name in self._OPERATIONS:
            self._OPERATIONS[name](self, argument)
        elif name not in _IGNORED:
            raise ValueError(f"it has the operation {name}")

    # Names and calls

    def _find(self, name: str) -> None:
        self._stack.append(self._known[name] if name in self._known else self._note(name))

    def _note(self, name: str) -> Unknown:
        if len(self.unknown_names) < MAX_UNKNOWN_NAMES:
            self.unknown_names[name] = None
        return Unknown(name)

    def _global(self, argument: str) -> None:
        self._find(argument.replace(" ", ".", 1))

    def _stack_global(self, _: object) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise ValueError("it has a name that is not text")  # noqa: TRY004
        self._find(f"{module}.{name}")

    def _extension(self, code: int) -> None:
        self._stack.append(self._note(f"the extension {code}"))

    def _call(self, function: object, arguments: object) -> None:
        if isinstance(function, Unknown):
            self._stack.append(function)
            return
        if not (isinstance(function, Constructor) and isinstance(arguments, tuple)):
            raise ValueError("it calls what can't be called")  # noqa: TRY004
        self._stack.append(function.make(*arguments))

    def _reduce(self, _: object) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        self._call(function, arguments)

    def _new_with_keywords(self, _: object) -> None:
        keywords, arguments, kind = self._stack.pop(), self._stack.pop(), self._stack.pop()
        if keywords and not isinstance(kind, Unknown):
            raise ValueError("it calls something with keywords")
        self._call(kind, arguments)

    def _instance(self, argument: str) -> None:
        arguments = self._pop_mark()
        self._find(argument.replace(" ", ".", 1))
        self._call(self._stack.pop(), tuple(arguments))

    def _object(self, _: object) -> None:
        kind, *arguments = self._pop_mark()
        self._call(kind, tuple(arguments))

    def _build(self, _: object) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if isinstance(target, Mutable):
            target.fill(state)
        elif not isinstance(target, dict | Unknown):  # attributes of a dictionary are not data
            raise ValueError("it gives attributes to what has none")  # noqa: TRY004

    def _persistent(self, argument: object) -> None:
        self._stack.append(self._at_persistent_id(argument))

    def _binary_persistent(self, _: object) -> None:
        self._persistent(self._stack.pop())

    # The stack and the memo

    def _mark(self, _: object) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _pop_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _pop(self, _: object) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._pop_mark()

    def _drop_mark(self, _: object) -> None:
        self._pop_mark()

    def _duplicate(self, _: object) -> None:
        self._stack.append(self._stack[-1])

    def _put(self, place: int) -> None:
        self._memo[place] = self._stack[-1]

    def _memoize(self, _: object) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _get(self, place: int) -> None:
        self._stack.append(self._memo[place])

    # Containers

    def _tuple(self, _: object) -> None:
        items = self._pop_mark()
        self._stack.append(tuple(items))

    def _tuple_of(self, n: int) -> None:
        items = self._stack[-n:]
        if len(items) != n:
            raise ValueError("it takes more than there is")
        del self._stack[-n:]
        self._stack.append(tuple(items))

    def _list(self, _: object) -> None:
        items = self._pop_mark()
        self._stack.append(items)

    def _dict(self, _: object) -> None:
        items = self._pop_mark()
        self._stack.append({})
        self._set(items)

    def _append(self, _: object) -> None:
        self._extend([self._stack.pop()])

    def _appends(self, _: object) -> None:
        self._extend(self._pop_mark())

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Unknown):
            raise ValueError("it appends to what is no list")  # noqa: TRY004

    def _set_item(self, _: object) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set([key, value])

    def _set_items(self, _: object) -> None:
        self._set(self._pop_mark())

    def _set(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, Unknown):
            return
        if not isinstance(target, dict) or len(items) % 2:
            raise ValueError("it fills what is no dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[checked_key(key)] = value

    _OPERATIONS: ClassVar[dict[str, Callable[["PickleMachine", Any], None]]] = {
        "GLOBAL": _global,
        "STACK_GLOBAL": _stack_global,
        "EXT1": _extension,
        "EXT2": _extension,
        "EXT4": _extension,
        "REDUCE": _reduce,
        "NEWOBJ": _reduce,
        "NEWOBJ_EX": _new_with_keywords,
        "INST": _instance,
        "OBJ": _object,
        "BUILD": _build,
        "PERSID": _persistent,
        "BINPERSID": _binary_persistent,
        "MARK": _mark,
        "POP": _pop,
        "POP_MARK": _drop_mark,
        "DUP": _duplicate,
        "PUT": _put,
        "BINPUT": _put,
        "LONG_BINPUT": _put,
        "MEMOIZE": _memoize,
        "GET": _get,
        "BINGET": _get,
        "LONG_BINGET": _get,
        "TUPLE": _tuple,
        "TUPLE1": lambda machine, _: machine._tuple_of(1),
        "TUPLE2": lambda machine, _: machine._tuple_of(2),
        "TUPLE3": lambda machine, _: machine._tuple_of(3),
        "LIST": _list,
        "FROZENSET": _list,
        "DICT": _dict,
        "APPEND": _append,
        "APPENDS": _appends,
        "ADDITEMS": _appends,
        "SETITEM": _set_item,
        "SETITEMS": _set_items,
    }


class _Bounded:
    """A file that makes no room for more than is left in it, whatever length is asked for."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        here = file.tell()
        self._end = file.seek(0, 2)
        file.seek(here)
        self.tell = file.tell
        self.readline = file.readline

    def read(self, n_bytes: int) -> bytes:
        return self._file.read(min(n_bytes, self._end - self._file.tell()))


def checked_key(key: object) -> object:
    """A key of a dictionary: text or a number; hashing anything else may never end.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(key, Unknown):
        return f"<{key.name}>"
    if not (key is None or isinstance(key, str | int | float)):
        raise ValueError(f"it has a key that is a {type(key).__name__}")
    return key


_LITERALS = frozenset(
    {
        "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
        "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE",
        "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
    }
)  # fmt: skip
_CONSTANTS: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_SET": list,  # as JSON would have it
    "EMPTY_DICT": dict,
}
_IGNORED = frozenset({"PROTO", "FRAME", "STOP"})

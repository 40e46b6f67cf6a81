"""The small language in which versions are filtered, and what it is in SQL.

    filter     = choice { "or" choice }
    choice     = term { "and" term }
    term       = "not" term | "(" filter ")" | name [ comparison value ]
    comparison = "=" | "==" | "!=" | "<" | "<=" | ">" | ">="
    value      = number | true | false | "quoted text" | word

A name is a field of a version (`task`, `version`, ...), a flag (`tuned`, `current`, `quarantined`)
or else a key of its metadata; dots lead into objects within. A name alone asks whether it is there
and is neither false, 0 nor empty. A version that lacks what is compared, or has it in another type,
doesn't pass. Nothing of the text itself gets into the SQL: names and values are bound.
"""

import json
import re
from typing import NamedTuple, NoReturn

from vsat.errors import UsageError

MAX_LENGTH = 1_000  # characters
MAX_NESTING = 20  # of brackets and "not"
COMPARISONS = {"=": "=", "==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
FIELDS = {
    "id": "m.model_id",
    "version": "v.version",
    "task": "v.task",
    "sample_rate": "v.sample_rate",
    "sources": "v.sources",
    "size_bytes": "v.size_bytes",
    "created_at": "v.created_at",
    "digest": "v.digest",
    "origin": "v.origin",
    "state": "v.state",
}
FLAGS = {
    "tuned": "v.base IS NOT NULL",
    "current": "m.current_version IS v.version",
    "quarantined": "v.state <> 'sound'",
}
_TOKEN = re.compile(
    r"\s*(?:(?P<sign>[()]|[<>=!]=|[<>=])|(?P<text>\"[^\"]*\"|'[^']*')|(?P<word>[^\s()<>=!\"']+))"
)
_NAME = re.compile(r"[^\W\d][\w\-]*(\.[\w\-]+)*")
_EXAMPLE = "Write, for example, --filter 'tuned and val_si_sdr_db > 8'."


class Condition(NamedTuple):
    """A condition in SQL over `models m` and `versions v`, never NULL, and what is bound in it."""

    sql: str
    parameters: tuple[object, ...]


class _Token(NamedTuple):
    kind: str  # "sign", "text", "word" or "end"
    text: str
    place: int


def condition_of(text: str) -> Condition:
    """Translate a filter.

    Raises:
        UsageError: it is not in the language; says where.

    >>> condition_of("version > 3")
    Condition(sql="coalesce(typeof(v.version) IN ('integer', 'real') AND v.version > ?, 0)", \
parameters=(3,))
    """
    if not isinstance(text, str):
        raise UsageError(f"A filter is text, not {type(text).__name__}.", hint=_EXAMPLE)
    if len(text) > MAX_LENGTH:
        raise UsageError(f"The filter is longer than {MAX_LENGTH} characters.", hint=_EXAMPLE)
    reader = _Reader(text)
    condition = reader.filter(0)
    reader.expect_end()
    return condition


class _Reader:
    """Reads a filter from left to right, one function for each rule of the grammar."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._split())
        self._next = 0

    def filter(self, depth: int) -> Condition:
        return self._joined("or", depth)

    def expect_end(self) -> None:
        token = self._take()
        if token.kind != "end":
            self._refuse(token, "'and', 'or' or the end is expected")

    def _joined(self, word: str, depth: int) -> Condition:
        def part() -> Condition:
            return self._joined("and", depth) if word == "or" else self._term(depth)

        parts = [part()]
        while self._is_word(word):
            self._take()
            parts.append(part())
        if len(parts) == 1:
            return parts[0]
        sql = f" {word.upper()} ".join(one.sql for one in parts)
        return Condition(f"({sql})", tuple(bound for one in parts for bound in one.parameters))

    def _term(self, depth: int) -> Condition:
        token = self._take()
        if depth >= MAX_NESTING:
            self._refuse(token, f"there are more than {MAX_NESTING} levels")
        if token.text == "(" and token.kind == "sign":
            inner = self.filter(depth + 1)
            closing = self._take()
            if closing.text != ")":
                self._refuse(closing, "')' is expected")
            return inner
        if token.kind == "word" and token.text.lower() == "not":
            inner = self._term(depth + 1)
            return Condition(f"NOT {inner.sql}", inner.parameters)
        if (
            token.kind != "word"
            or token.text.lower() in ("and", "or")
            or not _NAME.fullmatch(token.text)
        ):
            self._refuse(token, "a name is expected")
        comparison = self._tokens[self._next]
        if comparison.kind == "sign" and comparison.text in COMPARISONS:
            self._take()
            return self._comparison(token, COMPARISONS[comparison.text])
        return _presence(token.text)

    def _comparison(self, name: _Token, operator: str) -> Condition:
        token = self._take()
        if token.kind not in ("word", "text"):
            self._refuse(token, "a value is expected")
        if name.text in FLAGS:
            self._refuse(name, f"{name.text!r} stands alone and is not compared")
        value = token.text[1:-1] if token.kind == "text" else _value(token.text)
        if isinstance(value, bool) and operator not in ("=", "<>"):
            self._refuse(token, "true and false are only = or !=")
        return _compared(name.text, operator, value)

    def _is_word(self, word: str) -> bool:
        token = self._tokens[self._next]
        return token.kind == "word" and token.text.lower() == word

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        self._next += token.kind != "end"
        return token

    def _split(self) -> list[_Token]:
        tokens, place = [], 0
        while place < len(self._text.rstrip()):
            match = _TOKEN.match(self._text, place)
            if match is None:
                rest = self._text[place:].lstrip()
                self._refuse(_Token("sign", rest[:1], place), "it can't be read")
            kind = str(match.lastgroup)
            tokens.append(_Token(kind, match[kind], match.start(kind)))
            place = match.end()
        return [*tokens, _Token("end", "", len(self._text))]

    def _refuse(self, token: _Token, problem: str) -> NoReturn:
        where = "at the end" if token.kind == "end" else f"at {token.text[:30]!r}"
        raise UsageError(
            f"The filter {self._text[:60]!r} is wrong {where} (character {token.place + 1}): "
            f"{problem}.",
            hint=_EXAMPLE,
        )


def _value(word: str) -> object:
    if word.lower() in ("true", "false"):
        return word.lower() == "true"
    for kind in (int, float):
        try:
            number = kind(word)
        except ValueError:
            continue
        if abs(number) < 1 << 62:  # not infinite, nor NaN, nor more than SQLite's integers
            return number
    return word


def _path(name: str) -> str:
    # Escaped as in the stored metadata: SQLite before 3.45 compares the two as they are written.
    return "$" + "".join(f".{json.dumps(key)}" for key in name.split("."))


def _presence(name: str) -> Condition:
    if name in FLAGS:
        return Condition(f"({FLAGS[name]})", ())
    if name in FIELDS:
        return Condition(f"coalesce({FIELDS[name]} NOT IN (0, ''), 0)", ())
    value = "json_extract(v.metadata, ?)"
    return Condition(f"coalesce({value} NOT IN (0, '', '[]', '{{}}'), 0)", (_path(name),))


def _compared(name: str, operator: str, value: object) -> Condition:
    field = FIELDS.get(name)
    if field is None:
        types = {bool: "'true', 'false'", str: "'text'"}.get(type(value), "'integer', 'real'")
        path = _path(name)
        sql = f"json_type(v.metadata, ?) IN ({types}) AND json_extract(v.metadata, ?) {operator} ?"
        return Condition(f"coalesce({sql}, 0)", (path, path, value))
    types = "'text'" if isinstance(value, str) else "'integer', 'real'"
    sql = f"typeof({field}) IN ({types}) AND {field} {operator} ?"
    return Condition(f"coalesce({sql}, 0)", (value,))

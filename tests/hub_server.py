"""A hub on this machine: the part of its API that downloads use, over real sockets.

Small files come from the hub itself, large ones by a redirect to another host name, as from its
content network, with ranges. Repositories may be private, gated or moved; the server may be told to
cut bodies short, to answer with an error, or with what no hub says.
"""

import hashlib
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

LARGE_BYTES = 10_000  # from here on a file is kept as a large one
TOKEN = "hf_ThisIsTheSecretOfTheTests"


@dataclass
class Repository:
    """What a repository holds, commit by commit.

    Attributes:
        commits: files by commit.
        refs: commits by branch or tag.
        private: without the token it seems not to exist.
        gated: listed, but its files are not given.
        moved_to: its new name.
    """

    commits: dict = field(default_factory=dict)
    refs: dict = field(default_factory=dict)
    private: bool = False
    gated: bool = False
    moved_to: str = ""

    def commit(self, files, ref="main"):
        """Add a commit that a branch or a tag then means; return it."""
        text = "".join(f"{name}{hashlib.sha1(files[name]).hexdigest()}" for name in sorted(files))
        number = hashlib.sha1(f"{len(self.commits)}{text}".encode()).hexdigest()
        self.commits[number] = dict(files)
        self.refs[ref] = number
        return number


@dataclass
class Hub:
    """The server's state, which tests set and look at."""

    repositories: dict = field(default_factory=dict)
    requests: list = field(default_factory=list)  # (method, host, path, headers)
    cut_after: int | None = None  # bytes of a large body, of one answer
    failing: int = 0  # the status of all answers
    garbage: bool = False
    lying: dict = field(default_factory=dict)  # other content for a file, of the same size
    port: int = 0

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def add(self, name, files, **options):
        repository = self.repositories.setdefault(name, Repository(**options))
        return repository.commit(files)

    def n_asked(self, word):
        return sum(word in path for _, _, path, _ in self.requests)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def hub(self):
        return self.server.hub

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.respond()

    def do_GET(self):
        self.respond()

    def respond(self):
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        host = self.headers.get("Host", "").rpartition(":")[0]
        self.hub.requests.append((self.command, host, self.path, dict(self.headers)))
        if self.hub.failing:
            self.refuse(self.hub.failing, "", "not now")
        elif self.hub.garbage:
            self.send(200, b"<html>Please log in to this network.</html>")
        elif path.startswith("/content/"):
            self.send_content(path.removeprefix("/content/"))
        elif path.startswith("/api/models/"):
            self.send_listing(path.removeprefix("/api/models/"), parse_qs(parts.query))
        elif "/resolve/" in path:
            name, _, rest = path.lstrip("/").partition("/resolve/")
            self.send_file(name, *rest.split("/", 1))
        else:  # the client asks for more than the tests are about
            self.refuse(404, "", "no such page")

    def repository(self, name):
        found = self.hub.repositories.get(name)
        known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if found is None or (found.private and not known):
            status = 404 if known else 401
            self.refuse(status, "RepoNotFound", "Repository not found")
        elif found.moved_to:
            self.send(307, b"", Location=self.path.replace(name, found.moved_to))
        else:
            return found
        return None

    def commit_of(self, repository, revision):
        number = repository.refs.get(revision, revision)
        if number in repository.commits:
            return number
        self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return None

    def send_listing(self, path, query):
        name, _, revision = path.partition("/revision/")
        repository = self.repository(name)
        number = repository and self.commit_of(repository, revision or "main")
        if number:
            files = repository.commits[number]
            blobs = "blobs" in query
            siblings = [sibling(name, files[name], blobs) for name in sorted(files)]
            found = {"id": name, "modelId": name, "sha": number, "siblings": siblings}
            self.send(200, json.dumps(found).encode(), **{"Content-Type": "application/json"})

    def send_file(self, name, revision, path):
        repository = self.repository(name)
        number = repository and self.commit_of(repository, revision)
        if not number:
            return
        if repository.gated:
            self.refuse(403, "GatedRepo", "Access to this model is restricted")
            return
        if path not in repository.commits[number]:
            self.refuse(404, "EntryNotFound", "Entry not found")
            return
        content = repository.commits[number][path]
        headers = {"X-Repo-Commit": number, "ETag": f'"{hashlib.sha1(content).hexdigest()}"'}
        if len(content) < LARGE_BYTES:
            self.send(200, content, **headers)
            return
        sha256 = hashlib.sha256(content).hexdigest()
        headers |= {"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(content))}
        place = f"http://localhost:{self.hub.port}/content/{name}/{number}/{path}?signature=x"
        self.send(302, b"", **headers, Location=place)

    def send_content(self, place):
        org, name, number, path = place.split("/", 3)
        content = self.hub.repositories[f"{org}/{name}"].commits[number][path]
        content = self.hub.lying.get(path, content)
        first = int(self.headers.get("Range", "bytes=0-").split("=")[1].split("-")[0])
        body = content[first:]
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "Accept-Ranges": "bytes"}
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        self.send(206 if first else 200, body, **headers)

    def refuse(self, status, code, message):
        self.send(status, b"{}", **{"X-Error-Code": code, "X-Error-Message": message})

    def send(self, status, body, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for key, value in headers.items():
            if value:
                self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        cut, large = self.hub.cut_after, len(body) >= LARGE_BYTES
        if cut is not None and large:
            self.hub.cut_after = None
            self.wfile.write(body[:cut])
            self.close_connection = True
            return
        self.wfile.write(body)


def sibling(name, content, blobs):
    found = {"rfilename": name}
    if blobs:
        found |= {"size": len(content), "blobId": hashlib.sha1(content).hexdigest()}
        if len(content) >= LARGE_BYTES:
            digest = hashlib.sha256(content).hexdigest()
            found["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 130}
    return found


@contextmanager
def running_hub():
    """A hub that answers until the body ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.hub = Hub(port=server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""Downloads from a server of our own: checked, resumed, and safely unpacked."""

from __future__ import annotations

import hashlib
import http.server
import io
import tarfile
import threading
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from cgs.base.errors import CorpusError
from cgs.base.experiment import Experiment
from cgs.base.files import read_json
from cgs.base.options import CorpusOptions, Download, Recipe, RecipeOptions, SystemOptions
from cgs.data.download import fetch, unpack
from cgs.stages import corpus


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves one body and understands ranges."""

    body = b""
    ranges: list[str] = []

    def do_GET(self) -> None:
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        asked = self.headers.get("Range", "")
        self.ranges.append(asked)
        first = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if first >= len(self.body):
            self.send_error(416)
            return
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(self.body) - first))
        self.end_headers()
        self.wfile.write(self.body[first:])

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


@pytest.fixture
def server() -> Iterator[str]:
    Handler.ranges = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def tar_of(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return stream.getvalue()


def download(url: str, body: bytes) -> Download:
    return Download(url=url, sha256=hashlib.sha256(body).hexdigest(), n_bytes=len(body))


def test_fetched_resumed_and_unpacked(server: str, tmp_path: Path) -> None:
    Handler.body = tar_of({"corpus/a.txt": b"a" * 5000, "corpus/sub/b.txt": b"b"})
    wanted = download(f"{server}/corpus.tar.gz", Handler.body)
    (tmp_path / "corpus.tar.gz.part").write_bytes(Handler.body[:40])
    archive = fetch(wanted, tmp_path)
    assert Handler.ranges == ["bytes=40-"] and archive.read_bytes() == Handler.body
    assert fetch(wanted, tmp_path) == archive and len(Handler.ranges) == 1
    root = unpack(archive, tmp_path / "raw")
    assert root == tmp_path / "raw" / "corpus" and (root / "sub" / "b.txt").read_bytes() == b"b"


def test_a_whole_part_is_taken(server: str, tmp_path: Path) -> None:
    Handler.body = b"whole"
    (tmp_path / "a.tar.part").write_bytes(b"whole")
    assert fetch(download(f"{server}/a.tar", b"whole"), tmp_path).read_bytes() == b"whole"


def test_wrong_checksum_and_size(server: str, tmp_path: Path) -> None:
    Handler.body = b"altered"
    with pytest.raises(CorpusError, match=r"a\.tar: SHA-256 .* instead of .*; the file was removed \(run again"):
        fetch(download(f"{server}/a.tar", b"correct"), tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(CorpusError, match="7 bytes fetched, 5 expected"):
        fetch(download(f"{server}/a.tar", b"short"), tmp_path)


def test_md5_with_its_size(server: str, tmp_path: Path) -> None:
    Handler.body = b"correct"
    right = {"md5": hashlib.md5(b"correct").hexdigest(), "n_bytes": 7}
    assert fetch(Download(url=f"{server}/a.tar", **right), tmp_path).read_bytes() == b"correct"
    with pytest.raises(CorpusError, match=r"b\.tar: MD5 [0-9a-f]{16}\.\.\. instead of 0{16}\.\.\.; the file was removed"):
        fetch(Download(url=f"{server}/b.tar", md5="0" * 32, n_bytes=7), tmp_path)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({}, "http://a: give sha256, or md5 where its publisher states no other"),
        ({"sha256": "0" * 64, "md5": "0" * 32}, "http://a: give sha256, or md5"),
        ({"md5": "0" * 32}, "http://a: md5 alone is too weak; give n_bytes too"),
        ({"md5": "0" * 31, "n_bytes": 7}, "should match pattern"),
    ],
)
def test_what_cannot_be_checked_is_refused(keys: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Download(url="http://a", **keys)  # type: ignore[arg-type]


def test_plain_file_lies_in_the_unpacked_root(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stage 0: two archives share a folder, and the lexicon goes into it, wherever it stands in the recipe."""
    bodies = {"/a.tar.gz": tar_of({"Libri/a/x.txt": b"a"}), "/b.tar.gz": tar_of({"Libri/b/y.txt": b"b"}), "/lexicon.txt": b"A  AH0\n"}
    monkeypatch.setattr(Handler, "body", property(lambda handler: bodies[handler.path]))
    downloads = [download(f"{server}{path}", body).model_copy(update={"unpack": path.endswith("gz")}) for path, body in reversed(bodies.items())]
    seen: list[Path] = []
    local = types.SimpleNamespace(check_layout=lambda root, options: seen.append(root))
    monkeypatch.setattr(corpus, "local_module", lambda recipe: local)
    monkeypatch.setattr(corpus, "local_options", lambda recipe: None)
    parts = {"recipe": RecipeOptions(name="x", title="x"), "corpus": CorpusOptions(licence="x", attribution="x", download=downloads)}
    recipe = Recipe(**parts, systems={"dense": SystemOptions(task="asr", method="dense", hidden=[8])})
    corpus.run(Experiment(tmp_path / "exp", recipe))
    root = tmp_path / "exp" / "0-corpus" / "raw" / "Libri"
    assert seen[0].name == "Libri" and sorted(str(path.relative_to(root)) for path in root.rglob("*.txt")) == ["a/x.txt", "b/y.txt", "lexicon.txt"]
    assert read_json(tmp_path / "exp" / "0-corpus" / "corpus.json")["root"] == str(root)


def test_no_network_and_no_file(server: str, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"cannot be fetched \(HTTP 404 Not Found\) \(check the network .* --corpus DIR\)"):
        fetch(download(f"{server}/missing.tar", b"x"), tmp_path)
    with pytest.raises(CorpusError, match=r"cannot be fetched \(.*refused\)"):
        fetch(download("http://127.0.0.1:9/a.tar", b"x"), tmp_path)


@pytest.mark.parametrize("name", ["../outside.txt", "/tmp/outside-of-cgs.txt"])
def test_no_member_is_written_outside(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.tar.gz").write_bytes(tar_of({name: b"x"}))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(CorpusError, match="outside"):
        unpack(tmp_path / "a.zip", tmp_path / "inner" / "raw")
    if name.startswith(".."):
        with pytest.raises(CorpusError, match="outside"):
            unpack(tmp_path / "a.tar.gz", tmp_path / "inner" / "raw")
    else:
        unpack(tmp_path / "a.tar.gz", tmp_path / "inner" / "raw")
    assert not (tmp_path / "outside.txt").exists() and not (tmp_path / "inner" / "outside.txt").exists() and not Path(name).is_file()


def test_zip_without_a_folder_and_damage(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", b"a")
        archive.writestr("b/c.txt", b"c")
    assert unpack(tmp_path / "a.zip", tmp_path / "raw") == tmp_path / "raw"
    (tmp_path / "b.tar.gz").write_bytes(tar_of({"a": b"x" * 100})[:-30])
    with pytest.raises(CorpusError, match="cannot be unpacked"):
        unpack(tmp_path / "b.tar.gz", tmp_path / "raw2")

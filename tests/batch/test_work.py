"""A worker: the bytes of `uformer restore`, wherever the images are; one failure does not stop the others."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from tests.batch.pictures import contents, folder_of, network, picture
from tests.image.suspects import save_suspects
from tests.restore.stand_in import StandIn
from uformer.batch import places
from uformer.batch import work as module
from uformer.batch.records import Item, Record
from uformer.batch.work import Worker
from uformer.cli import main
from uformer.errors import OptionError
from uformer.restore.restorer import Restorer


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return network(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def worker(weights: Path) -> Worker:
    return Worker(Restorer.from_pretrained(weights, backend="openvino"))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "_PAUSE", 0.0)
    yield
    fsspec.filesystem("memory").store.clear()


def done(worker: Worker, *items: Item) -> dict[str, Record]:
    records: list[Record] = []
    worker.work(items, records.append)
    assert sorted(record.input for record in records) == sorted(item.input for item in items)
    return {record.input: record for record in records}


@pytest.mark.parametrize("source", ["disk", "memory"])
@pytest.mark.parametrize("target", ["disk", "memory"])
def test_the_bytes_are_those_of_restore(
    worker: Worker, weights: Path, tmp_path: Path, source: str, target: str
) -> None:
    folder_of(tmp_path / "in", 4)
    assert (
        main(
            [
                "restore",
                str(tmp_path / "in"),
                "-o",
                str(tmp_path / "plain"),
                "--weights",
                str(weights),
                "--quiet",
            ]
        )
        == 0
    )
    home = {"disk": str(tmp_path / "in"), "memory": "memory://in"}[source]
    out = {"disk": str(tmp_path / "out"), "memory": "memory://out"}[target]
    names = contents(tmp_path / "in")
    for name, data in names.items():
        places.write_bytes(places.join(home, name), data)
    records = done(
        worker, *(Item(input=places.join(home, name), output=places.join(out, name)) for name in names)
    )
    for name, expected in contents(tmp_path / "plain").items():
        record = records[places.join(home, name)]
        assert places.read_bytes(places.join(out, name)) == expected
        assert (record.output, record.error, record.warnings) == (places.join(out, name), None, None)
        assert (record.size, record.sha256) == (len(expected), hashlib.sha256(expected).hexdigest())
        assert (record.width, record.height) == (32, 24)
        assert record.seconds


@pytest.mark.parametrize("home", ["disk", "memory"])
def test_bad_pictures_are_records_that_name_them(worker: Worker, tmp_path: Path, home: str) -> None:
    root = str(tmp_path) if home == "disk" else "memory://in"
    bad = {
        "text.png": b"hello",
        "empty.png": b"",
        "cut.jpg": picture(suffix=".jpg")[:300],
        "missing.png": None,
        "good.png": picture(),
    }
    for name, data in bad.items():
        if data is not None:
            places.write_bytes(places.join(root, name), data)
    records = done(
        worker, *(Item(input=places.join(root, name), output=f"{tmp_path}/out/{name}") for name in bad)
    )
    for name in bad:
        record = records[places.join(root, name)]
        assert (record.error is None) == (name == "good.png")
        if record.error is not None:
            assert name in record.error
            assert record.output is record.sha256 is None
            assert "uformer-" not in record.error, "no scratch file is named"
    assert set(contents(tmp_path / "out")) == {"good.png"}


def test_an_output_that_is_there_is_looked_at_and_kept(worker: Worker, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(1))
    record = done(worker, Item(input="s3://gone/a.png", output=str(tmp_path / "a.png"), there=True))[
        "s3://gone/a.png"
    ]
    assert (record.seconds, record.error, record.width) == (None, None, 32)
    assert record.sha256 == hashlib.sha256(picture(1)).hexdigest()
    (tmp_path / "b.png").write_bytes(b"mine")
    record = done(worker, Item(input="x", output=str(tmp_path / "b.png"), there=True))["x"]
    assert "restore it again with --overwrite" in (record.error or "")
    assert (tmp_path / "b.png").read_bytes() == b"mine"


def test_a_store_that_fails_now_and_then(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places.write_bytes("memory://in/a.png", picture())
    tries: list[str] = []

    def fails_twice(place: str, path: Path, really: object = places.fetch) -> None:
        tries.append(place)
        if len(tries) < 3:
            raise TimeoutError("slow down")
        really(place, path)  # type: ignore[operator]

    monkeypatch.setattr(places, "fetch", fails_twice)
    item = Item(input="memory://in/a.png", output=str(tmp_path / "a.png"))
    assert done(worker, item)[item.input].error is None
    monkeypatch.setattr(places, "fetch", _always_slow)
    assert done(worker, item)[item.input].error == "memory://in/a.png: slow down (tried 3 times)"


def _always_slow(_place: str, _path: Path) -> None:
    raise TimeoutError("slow down")


def test_an_output_that_cannot_be_brought(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    monkeypatch.setattr(places, "put", lambda _path, _place: _always_slow("", tmp_path))
    record = done(worker, Item(input=str(tmp_path / "a.png"), output="memory://out/a.png"))[
        str(tmp_path / "a.png")
    ]
    assert (record.error, record.output, record.size) == (
        "memory://out/a.png: slow down (tried 3 times)",
        None,
        None,
    )


def test_options_that_restore_nothing_stop_the_job(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    worker = Worker(Restorer.from_pretrained(weights, backend="openvino", memory="1MB"))
    with pytest.raises(OptionError, match="memory"):
        worker.work([Item(input=str(tmp_path / "a.png"), output=str(tmp_path / "b.png"))], lambda _: None)


def test_a_verdict_depends_on_the_file_alone(tmp_path: Path) -> None:
    found = save_suspects(tmp_path / "in", 4)
    records = done(
        Worker(StandIn()),
        *(Item(input=str(path), output=f"{tmp_path}/out/{path.name}.png") for path in found),
    )
    for path, good in found.items():
        assert (records[str(path)].error is None) == good, records[str(path)].error

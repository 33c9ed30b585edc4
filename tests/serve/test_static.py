"""The files of the page."""

from pathlib import Path

from uformer.serve import static


def test_all_files_and_no_others() -> None:
    page = Path(static.__file__).parent / "page"
    files = static.files()
    assert set(files) == {path.name for path in page.iterdir()}
    assert {"index.html", "docs.html", "style.css", "app.js"} <= set(files)
    assert files["index.html"].media_type == "text/html; charset=utf-8"
    assert all(files[name].data == (page / name).read_bytes() for name in files)


def test_they_add_little_to_the_wheel() -> None:
    assert sum(len(file.data) for file in static.files().values()) < 700_000

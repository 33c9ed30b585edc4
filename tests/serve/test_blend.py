"""The page's blend.js and tones.js return what the library's controls return, within one level of 8 bits."""

import base64
import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from uformer.restore.controls import blend_blocks
from uformer.restore.masks import Mask
from uformer.restore.options import Controls
from uformer.serve import static

HEIGHT, WIDTH = 45, 70
CASES: list[dict[str, Any]] = [
    {},
    {"strength": 0.4},
    {"luma": 0.3},
    {"luma": 0},
    {"chroma": 0.2},
    {"strength": 0.8, "luma": 0.6, "detail": 1},
    {"detail": 0.5, "shadows": 0.7},
    {"shadows": 1, "chroma": 0},
    {"shadows": 0.5, "masked": True},
    {"tones": "lock"},
]
SCRIPT = """
import { readFileSync } from "node:fs";
import { blend } from "./blend.js";
import { Mask, sharesOf } from "./mask.js";
import { grayPng } from "./png.js";
import { lockTones } from "./tones.js";
const { before, after, mask, width, height, cases } = JSON.parse(readFileSync(0));
const results = cases.map(({ masked, tones, ...controls }) => {
  const changed = tones === "lock" ? lockTones(before, after, width, height) : after;
  return [...blend(before, changed, width, height, controls, { mask: masked ? mask : undefined })];
});
const part = 8 * 4 * width;
const grain = blend(before, after, width, height, { grain: 1 });
const lower = blend(before.slice(part), after.slice(part), width, height - 8, { grain: 1 }, { top: 8 });
const photo = { width, height };
const small = { values: mask.slice(0, 35 * 22).map((share) => 255 * share), width: 35, height: 22 };
const whole = { left: 0, top: 0, columns: width, rows: height, width, height };
const stretched = [...sharesOf(small, photo, whole)];
const inside = [...sharesOf(small, photo, { left: 20, top: 10, columns: 8, rows: 6, width: 8, height: 6 })];

// Strokes of a brush
const painted = new Mask(width, height);
const versions = [painted.version];
const contents = [];
const keep = () => { versions.push(painted.version); contents.push([...painted.values]); };
painted.begin(20.5, 20.5, { radius: 8, softness: 0.5, value: 0 });
painted.line(50.5, 20.5);
painted.line(20.5, 20.5);
const unfinished = painted.copy();
painted.end(); keep();
painted.begin(30.5, 20.5, { radius: 3, softness: 0, value: 255 });
painted.end(); keep();
painted.invert(); keep();
painted.clear(); keep();
painted.begin(5, 5, { radius: 9, softness: 1, value: 0 });
painted.cancel(); keep();
while (painted.undoable) { painted.undo(); keep(); }
painted.begin(-50, 500, { radius: 4, softness: 1, value: 0 }); // outside of the photo
painted.end(); keep();
const large = new Mask(6000, 4000);
const file = await grayPng({ values: Uint8Array.from(contents[0]), width, height });
console.log(JSON.stringify({
  results, grain: [...grain], lower: [...lower], stretched, inside, versions, contents,
  unfinished: [unfinished.version, Math.min(...unfinished.values)],
  large: [large.width, large.height],
  file: Buffer.from(await file.arrayBuffer()).toString("base64"),
}));
"""

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="no node, which runs the page's modules")


def images() -> tuple[np.ndarray, np.ndarray]:
    """Return a noisy image with clipped parts and a smoother one, (H, W, 3) of uint8."""
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    clean = np.stack([columns * 4 - 10, rows * 6 - 8, 128 + 90 * np.sin(columns / 3)], axis=2)
    clean[:, 40:] = 120 + 4 * np.sin(rows[:, 40:, None])  # no pixel is clipped here, so tones can be locked
    noisy = clean + rng.normal(0, 14, clean.shape)
    restored = clean + rng.normal(5, 3, clean.shape)
    before, after = (np.clip(each.round(), 0, 255).astype(np.uint8) for each in (noisy, restored))
    return before, after


def by_python(before: np.ndarray, after: np.ndarray, mask: np.ndarray, case: dict[str, Any]) -> np.ndarray:
    """Return the levels that the library computes."""
    controls = Controls(**{"tones": "free", **{name: case[name] for name in case if name != "masked"}})
    original, restored = ((each.transpose(2, 0, 1) / np.float32(255)) for each in (before, after))
    out = np.empty_like(original)

    def read(window: Any) -> tuple[np.ndarray, np.ndarray]:
        at = (slice(None), slice(window.top, window.bottom), slice(window.left, window.right))
        return original[at], restored[at] - original[at]

    used = Mask((mask / np.float32(255)).astype(np.float32), HEIGHT, WIDTH) if case.get("masked") else None
    for block, pixels in blend_blocks(read, original.shape, controls, used):
        out[:, block.top : block.bottom, block.left : block.right] = pixels
    return (out.transpose(1, 2, 0) * 255).round()


@needs_node
def test_the_page_blends_as_the_library_does(tmp_path: Path) -> None:
    before, after = images()
    mask = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    for name in ("blend.js", "tones.js", "mask.js", "png.js", "zip.js"):
        (tmp_path / name).write_bytes(static.files()[name].data)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "run.js").write_text(SCRIPT)
    opaque = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
    given = {
        "before": np.concatenate([before, opaque], axis=2).ravel().tolist(),
        "after": np.concatenate([after, opaque], axis=2).ravel().tolist(),
        "mask": (mask / np.float32(255)).astype(float).ravel().tolist(),
        "width": WIDTH,
        "height": HEIGHT,
        "cases": CASES,
    }
    done = subprocess.run(
        ["node", "run.js"],
        cwd=tmp_path,
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    for case, values in zip(CASES, answer["results"], strict=True):
        seen = np.reshape(values, (HEIGHT, WIDTH, 4))
        assert (seen[..., 3] == 255).all()
        expected = by_python(before, after, mask, case)
        assert np.abs(seen[..., :3] - expected).max() <= 1, case
        assert np.abs(seen[..., :3] - expected).mean() < 0.02, case
    # The noise of the grain is the page's own; its strength is the library's, and its place is the image's.
    grain = np.reshape(answer["grain"], (HEIGHT, WIDTH, 4))
    middle = grain[:, 42:, :3] - after[:, 42:].astype(int)
    assert abs(middle.std() - 10) < 1
    assert abs(middle.mean()) < 1
    assert np.array_equal(grain[8:], np.reshape(answer["lower"], (HEIGHT - 8, WIDTH, 4)))
    check_masks(mask, answer)


def check_masks(mask: np.ndarray, answer: dict[str, Any]) -> None:
    """The page stretches a mask as the library does, and paints it with strokes that can be undone."""
    small = (mask.ravel()[: 35 * 22].reshape(22, 35) / np.float32(255)).astype(np.float32)
    shares = Mask(small, HEIGHT, WIDTH).window(0, HEIGHT, 0, WIDTH)
    np.testing.assert_allclose(np.reshape(answer["stretched"], (HEIGHT, WIDTH)), shares, atol=1e-5)
    np.testing.assert_allclose(np.reshape(answer["inside"], (6, 8)), shares[10:16, 20:28], atol=1e-5)
    assert answer["large"] == [1732, 1155]
    line, dot, inverted, cleared, cancelled, *undone, outside = (
        np.reshape(each, (HEIGHT, WIDTH)) for each in answer["contents"]
    )
    assert answer["unfinished"] == [0, 255], "a file is made without a stroke that is not finished"
    assert (line[20, 20:51] == 0).all(), "a stroke that comes back is not weaker or stronger"
    assert (line[:11] == 255).all()
    assert (line[20, :12] == 255).all()
    assert 100 < line[26, 35] < 200, "the soft edge"
    assert dot[20, 30] == 255
    assert dot[20, 25] == 0
    assert np.array_equal(inverted, 255 - dot)
    assert (cleared == 255).all()
    assert np.array_equal(cancelled, cleared)
    for was, now in zip([inverted, dot, line, cleared], undone, strict=True):
        assert np.array_equal(was, now)
    assert (outside == 255).all()
    first, _, _, _, none, _, third, second, again, end, last = answer["versions"]
    assert (first, none, end) == (0, 0, 0), "nothing is masked"
    assert [third, second, again] == answer["versions"][3:0:-1], "the file that was made is right again"
    assert last > 0
    file = PIL.Image.open(io.BytesIO(base64.b64decode(answer["file"])))
    assert (file.mode, file.size) == ("L", (WIDTH, HEIGHT))
    assert np.array_equal(np.asarray(file), line)

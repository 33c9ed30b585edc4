// The tone lock of docs/controls.md for pixels in memory: takes slow changes of brightness out of a restored
// image. The results equal those of uformer/restore/tones.py within one level of 8 bits. The server locks the
// tones itself; an engine that runs in the browser calls `lockTones` with what its network returns.

import { lumaOf } from "./blend.js";

const CELL = 8; // side of a cell in pixels
const OPEN = 0.02; // share of clipped pixels nearby at which the lock is open
const EDGE = 0.5; // pixels nearer to black or white are clipped, in levels

// Returns `after` (RGBA, 0 to 255) with its tones locked, as a Float32Array, not clipped; `before` is the
// original.
export function lockTones(before, after, width, height) {
  const cells = measured(before, after, width, height);
  const means = smoothed(cells.means, cells.columns, cells.rows);
  const clipped = smoothed(cells.clipped, cells.columns, cells.rows);
  const shifts = means.map((mean, at) => mean * Math.max(1 - clipped[at] / OPEN, 0));
  const across = Array.from({ length: width }, (_, column) => between(column, cells.columns));
  const out = Float32Array.from(after);
  for (let row = 0; row < height; row += 1) {
    const [above, under, below] = between(row, cells.rows);
    const line = new Float32Array(cells.columns);
    for (let column = 0; column < cells.columns; column += 1) {
      const start = shifts[above * cells.columns + column];
      line[column] = start + (shifts[under * cells.columns + column] - start) * below;
    }
    for (let column = 0, at = 4 * row * width; column < width; column += 1, at += 4) {
      const [first, second, beside] = across[column];
      const shift = line[first] + (line[second] - line[first]) * beside;
      for (let channel = at; channel < at + 3; channel += 1) out[channel] = after[channel] - shift;
    }
  }
  return out;
}

// Returns the mean change of luma and the share of clipped pixels of each cell; cells at the bottom and right
// repeat the border.
function measured(before, after, width, height) {
  const columns = Math.ceil(width / CELL);
  const rows = Math.ceil(height / CELL);
  const means = new Float32Array(columns * rows);
  const clipped = new Float32Array(columns * rows);
  for (let row = 0; row < rows * CELL; row += 1) {
    for (let column = 0; column < columns * CELL; column += 1) {
      const at = 4 * (Math.min(row, height - 1) * width + Math.min(column, width - 1));
      const cell = Math.floor(row / CELL) * columns + Math.floor(column / CELL);
      const [red, green, blue] = [before[at], before[at + 1], before[at + 2]];
      means[cell] += lumaOf(after[at] - red, after[at + 1] - green, after[at + 2] - blue) / CELL ** 2;
      if (Math.min(red, green, blue) < EDGE || Math.max(red, green, blue) > 255 - EDGE) clipped[cell] += 1 / CELL ** 2;
    }
  }
  return { columns, rows, means, clipped };
}

// Returns binomial means over five cells in both directions; the border is repeated outside.
function smoothed(plane, columns, rows) {
  const weights = [1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16];
  return plane.map((_, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    let sum = 0;
    for (let down = -2; down <= 2; down += 1) {
      for (let aside = -2; aside <= 2; aside += 1) {
        const y = Math.min(Math.max(row + down, 0), rows - 1);
        const x = Math.min(Math.max(column + aside, 0), columns - 1);
        sum += weights[down + 2] * weights[aside + 2] * plane[y * columns + x];
      }
    }
    return sum;
  });
}

// Returns the two cells between whose centres a pixel lies, and its place there.
function between(pixel, cells) {
  const place = Math.min(Math.max((pixel + 0.5) / CELL - 0.5, 0), cells - 1);
  const low = Math.floor(place);
  return [low, Math.min(low + 1, cells - 1), place - low];
}

// Cuts an image into overlapping tiles and blends the restored tiles, as uformer/restore/tiles.py does.
// Pure geometry: no DOM, no network.

export const OVERLAP = 32;
const MARGIN = 8; // pixels of reflection around an image
const ALIGN = 32; // starts of tiles

// Returns how tiles cover `length` pixels: { length, tile, starts, padded }. `starts` count from MARGIN pixels
// before the image. An axis that fits in one tile gets one, no longer than needed. Sides are multiples of `multiple`.
export function planAxis(length, { tile, overlap = OVERLAP, multiple }) {
  const side = up(tile, multiple);
  const step = Math.max(Math.floor((side - overlap) / ALIGN) * ALIGN, ALIGN);
  const extended = length + 2 * MARGIN;
  if (extended <= side) return { length, tile: up(extended, multiple), starts: [0], padded: up(extended, multiple) };
  const last = up(extended - side, ALIGN);
  const count = Math.ceil(last / step) + 1;
  const starts = Array.from({ length: count }, (_, number) => halfToEven((last * number) / (count - 1) / ALIGN) * ALIGN);
  return { length, tile: side, starts, padded: last + side };
}

// Returns the weights of each tile: cosine slopes in overlaps, which add up to 1 at every pixel.
export function weightsOf({ tile, starts, padded }) {
  const slopes = starts.map(() => new Float64Array(tile).fill(1));
  for (let left = 0; left + 1 < starts.length; left += 1) {
    const overlap = starts[left] + tile - starts[left + 1];
    for (let at = 0; at < overlap; at += 1) {
      const rise = Math.sin((0.5 * Math.PI * (at + 0.5)) / overlap) ** 2;
      slopes[left + 1][at] *= rise;
      slopes[left][tile - 1 - at] *= rise;
    }
  }
  const total = new Float64Array(padded);
  slopes.forEach((slope, number) => slope.forEach((weight, at) => { total[starts[number] + at] += weight; }));
  return slopes.map((slope, number) => Float32Array.from(slope, (weight, at) => weight / total[starts[number] + at]));
}

// Returns the pixel of the image behind each pixel of a tile; outside the image, indices are reflected.
export function sourceOf({ length, tile }, start) {
  const period = Math.max(2 * length - 2, 1);
  return Int32Array.from({ length: tile }, (_, pixel) => {
    const at = (((start - MARGIN + pixel) % period) + period) % period;
    return at < length ? at : period - at;
  });
}

// Runs `network(values, rows, columns)` on the tiles of an image, from top to bottom, and calls
// `finished(first, planes, count)` with the blended rows: `count` rows from row `first` on, one plane for each
// channel, in [0, 1] but not clipped. `before`: RGBA, 0 to 255. `next(done, all)` is called, and
// waited for, before each tile.
export async function restoreTiles(before, width, height, plan, network, next, finished) {
  const rows = planAxis(height, plan);
  const columns = planAxis(width, plan);
  const across = weightsOf(columns);
  const plane = rows.tile * width;
  const band = new Float32Array(3 * plane); // one row of tiles
  const values = new Float32Array(3 * rows.tile * columns.tile);
  const all = rows.starts.length * columns.starts.length;
  for (const [row, down] of weightsOf(rows).entries()) {
    const top = rows.starts[row];
    const end = rows.starts[row + 1] ?? rows.padded;
    for (const [column, left] of columns.starts.entries()) {
      await next(row * columns.starts.length + column, all);
      const gray = cut(before, width, sourceOf(rows, top), sourceOf(columns, left), values);
      const restored = await network(values, rows.tile, columns.tile);
      if (gray) unite(restored);
      add(restored, columns, left, across[column], down, band, plane, width);
    }
    const from = Math.max(MARGIN - top, 0);
    const until = Math.max(Math.min(end, MARGIN + height) - top, 0);
    if (until > from) {
      const parts = [0, 1, 2].map((channel) => band.subarray(channel * plane + from * width, channel * plane + until * width));
      finished(top + from - MARGIN, parts, until - from);
    }
    for (let start = 0; start < 3 * plane; start += plane) { // keep the rows that later tiles add to
      band.copyWithin(start, start + (end - top) * width, start + plane);
      band.fill(0, start + plane - (end - top) * width, start + plane);
    }
  }
}

// Fills `values` with the planes of a tile; returns whether it has no colour.
function cut(before, width, down, across, values) {
  const plane = down.length * across.length;
  let gray = true;
  let to = 0;
  for (const row of down) {
    for (const column of across) {
      const at = 4 * (row * width + column);
      const [red, green, blue] = [before[at], before[at + 1], before[at + 2]];
      gray &&= red === green && red === blue;
      values[to] = red / 255;
      values[to + plane] = green / 255;
      values[to + 2 * plane] = blue / 255;
      to += 1;
    }
  }
  return gray;
}

// Gives all channels their mean: an image without colour stays without colour.
function unite(restored) {
  const plane = restored.length / 3;
  for (let at = 0; at < plane; at += 1) {
    restored[at] = restored[at + plane] = restored[at + 2 * plane] = (restored[at] + restored[at + plane] + restored[at + 2 * plane]) / 3;
  }
}

function add(restored, columns, left, across, down, band, plane, width) {
  const first = Math.min(Math.max(left - MARGIN, 0), columns.length);
  const last = Math.max(Math.min(left - MARGIN + columns.tile, columns.length), first);
  const inside = first + MARGIN - left;
  for (let channel = 0; channel < 3; channel += 1) {
    for (let row = 0; row < down.length; row += 1) {
      const to = channel * plane + row * width + first;
      const from = (channel * down.length + row) * columns.tile + inside;
      for (let at = 0; at < last - first; at += 1) band[to + at] += restored[from + at] * down[row] * across[inside + at];
    }
  }
}

function up(length, multiple) { return Math.ceil(length / multiple) * multiple; }

function halfToEven(value) { // as Python rounds
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 ? low + 1 : low;
}

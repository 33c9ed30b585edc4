// EXIF blocks, which are small TIFF files: the orientation, and the tags that are safe to publish. A malformed
// block counts as one without tags.

const ORIENTATION = 0x0112;
const EXIF_IFD = 0x8769;
const THUMBNAIL = 0x0201; // start of the thumbnail
const THUMBNAIL_SIZE = 0x0202;
const WIDTHS = new Set([0x0100, 0xa002]);
const HEIGHTS = new Set([0x0101, 0xa003]);
const SHORT = 3;
const LONG = 4;
const BYTES = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8]; // by type of value
const MOST_TAGS = 1000;

// What uformer/image/privacy.py keeps: date, camera model, exposure and copyright; no place, name or number.
const FIRST = new Set([0x010f, 0x0110, 0x0112, 0x0131, 0x0132, 0x8298, 0x011a, 0x011b, 0x0128]);
const EXPOSURE = new Set([
  0x829a, 0x829d, 0x8822, 0x8827, 0x8830, 0x8831, 0x8832, 0x8833, 0x9000, 0x9003, 0x9004, 0x9010, 0x9011, 0x9012, 0x9101, 0x9102,
  0x9201, 0x9202, 0x9203, 0x9204, 0x9205, 0x9206, 0x9207, 0x9208, 0x9209, 0x920a, 0x9290, 0x9291, 0x9292, 0xa000, 0xa001, 0xa20e,
  0xa20f, 0xa210, 0xa215, 0xa217, 0xa300, 0xa301, 0xa401, 0xa402, 0xa403, 0xa404, 0xa405, 0xa406, 0xa407, 0xa408, 0xa409, 0xa40a,
  0xa40c, 0xa432, 0xa433, 0xa434, 0xa500,
]);

// Returns the orientation of a block, 1 to 8; 1 if it has none.
export function orientationOf(exif) {
  const found = entriesOf(exif).first.find((each) => each.tag === ORIENTATION && each.type === SHORT && each.count === 1);
  const value = found ? new DataView(exif.buffer, exif.byteOffset).getUint16(found.start, found.little) : 1;
  return value >= 1 && value <= 8 ? value : 1;
}

// Returns a copy of a block with orientation 1 and with this size, byte for byte the same otherwise. If the image
// was turned, the thumbnail is removed, because it is not turned with the image.
export function upright(exif, width, height) {
  const out = exif.slice();
  const view = new DataView(out.buffer);
  const { first, inner, little } = entriesOf(exif);
  if (orientationOf(exif) !== 1) removeThumbnail(out, little);
  for (const { tag, type, count, start } of [...first, ...inner]) {
    const value = tag === ORIENTATION ? 1 : WIDTHS.has(tag) ? width : HEIGHTS.has(tag) ? height : null;
    if (value === null || count !== 1) continue;
    if (type === SHORT && value < 65536) view.setUint16(start, value, little);
    if (type === LONG) view.setUint32(start, value, little);
  }
  return out;
}

// Overwrites the thumbnail with zeros, and the link to its directory. All else stays in its place.
function removeThumbnail(exif, little) {
  const view = new DataView(exif.buffer);
  const at = view.getUint32(4, little);
  const link = at + 2 + 12 * view.getUint16(at, little);
  if (link + 4 > exif.length) return;
  const found = directory(view, view.getUint32(link, little), little);
  const [start, size] = [THUMBNAIL, THUMBNAIL_SIZE].map((wanted) => {
    const entry = found.find(({ tag, type, count }) => tag === wanted && type === LONG && count === 1);
    return entry ? view.getUint32(entry.start, little) : 0;
  });
  if (start >= 8) exif.fill(0, start, start + size);
  view.setUint32(link, 0, little);
}

// Returns a new block with only the tags that are safe to publish; null if there are none.
export function safe(exif) {
  const { first, inner, little } = entriesOf(exif);
  const kept = first.filter(({ tag }) => FIRST.has(tag));
  const exposure = inner.filter(({ tag }) => EXPOSURE.has(tag));
  if (!kept.length && !exposure.length) return null;
  const head = sizeOf(kept.length + (exposure.length ? 1 : 0));
  const size = 8 + head + dataOf(kept) + (exposure.length ? sizeOf(exposure.length) + dataOf(exposure) : 0);
  const out = new Uint8Array(size);
  const view = new DataView(out.buffer);
  out.set(little ? [0x49, 0x49] : [0x4d, 0x4d]);
  view.setUint16(2, 42, little);
  view.setUint32(4, 8, little);
  const second = 8 + head + dataOf(kept);
  const pointer = exposure.length ? [{ tag: EXIF_IFD, type: LONG, count: 1, value: second }] : [];
  writeDirectory(exif, view, 8, [...kept, ...pointer].sort((one, other) => one.tag - other.tag), little);
  if (exposure.length) writeDirectory(exif, view, second, exposure.sort((one, other) => one.tag - other.tag), little);
  return out;
}

function sizeOf(count) { return 2 + 12 * count + 4; }

function dataOf(entries) { return entries.reduce((sum, { size }) => sum + (size > 4 ? size + (size % 2) : 0), 0); }

function writeDirectory(exif, view, at, entries, little) {
  let data = at + sizeOf(entries.length);
  view.setUint16(at, entries.length, little);
  entries.forEach(({ tag, type, count, value, start, size }, number) => {
    const place = at + 2 + 12 * number;
    view.setUint16(place, tag, little);
    view.setUint16(place + 2, type, little);
    view.setUint32(place + 4, count, little);
    if (value !== undefined) { view.setUint32(place + 8, value, little); return; }
    const bytes = exif.subarray(start, start + size);
    const to = size > 4 ? data : place + 8;
    new Uint8Array(view.buffer).set(bytes, to);
    if (size > 4) { view.setUint32(place + 8, data, little); data += size + (size % 2); }
  });
}

// Returns the tags of the first and of the EXIF directory: { tag, type, count, start, size, little }.
function entriesOf(exif) {
  const little = exif[0] === 0x49;
  const none = { first: [], inner: [], little };
  if (exif.length < 8 || exif[0] !== exif[1] || ![0x49, 0x4d].includes(exif[0])) return none;
  const view = new DataView(exif.buffer, exif.byteOffset, exif.length);
  if (view.getUint16(2, little) !== 42) return none;
  const first = directory(view, view.getUint32(4, little), little);
  const pointer = first.find(({ tag, count, type }) => tag === EXIF_IFD && count === 1 && type === LONG);
  return { first, inner: pointer ? directory(view, view.getUint32(pointer.start, little), little) : [], little };
}

function directory(view, at, little) {
  if (at < 8 || at + 2 > view.byteLength) return [];
  const found = [];
  const count = Math.min(view.getUint16(at, little), MOST_TAGS);
  for (let place = at + 2; place < at + 2 + 12 * count && place + 12 <= view.byteLength; place += 12) {
    const type = view.getUint16(place + 2, little);
    const values = view.getUint32(place + 4, little);
    const size = (BYTES[type] ?? 0) * values;
    const start = size > 4 ? view.getUint32(place + 8, little) : place + 8;
    if (size && start + size <= view.byteLength) found.push({ tag: view.getUint16(place, little), type, count: values, start, size, little });
  }
  return found;
}

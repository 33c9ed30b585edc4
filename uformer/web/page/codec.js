// Image files to pixels and back, in a worker. Pixels are RGBA, 0 to 255, not multiplied by alpha.

import { Problem, concat, join, split } from "./containers.js";
import { orientationOf, safe, upright } from "./exif.js";
import { pngParts } from "./png.js";

const TYPES = { JPEG: "image/jpeg", WebP: "image/webp", PNG: "image/png" };
const SUFFIXES = { png: "PNG", jpg: "JPEG", jpeg: "JPEG", webp: "WebP" };
const QUALITY = { JPEG: 95, WebP: 98 };
const STRIP = 1024; // rows that are read from a canvas at once, because canvases have a largest size
const AS_STORED = { colorSpaceConversion: "none", premultiplyAlpha: "none", imageOrientation: "none" };

// Returns { pixels, width, height, parts, orientation } of a file, upright. Throws a Problem.
export async function decode(file, limit) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const parts = split(bytes);
  const { width, height, bare } = parts;
  if (!width || !height) throw new Problem("not-a-picture", "the image has no size");
  if (width * height > limit) throw new Problem("too-many-pixels", `the image has ${width} x ${height} pixels; the limit is ${limit.toLocaleString("en")}`);
  if (parts.profile) parts.icc = await inflated(parts.profile).catch(() => null);
  const exact = parts.format === "PNG" && parts.depth === 8 && parts.colour >= 4 && !parts.interlaced;
  const pixels = exact ? await decodePng(bare, parts) : await readBack(bare, parts);
  delete parts.bare;
  const orientation = parts.exif ? orientationOf(parts.exif) : 1;
  return { parts, orientation, ...turned(pixels, width, height, orientation) };
}

async function readBack(bare, { format, width, height }) {
  const bitmap = await createImageBitmap(new Blob([bare], { type: TYPES[format] }), AS_STORED).catch(() => null);
  if (!bitmap) throw new Problem("not-a-picture", `the ${format} is damaged`);
  const pixels = new Uint8ClampedArray(4 * width * height);
  const canvas = new OffscreenCanvas(width, Math.min(STRIP, height));
  const context = canvas.getContext("2d", { willReadFrequently: true, colorSpace: "srgb" });
  for (let top = 0; top < height; top += STRIP) {
    const rows = Math.min(STRIP, height - top);
    context.clearRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, -top);
    pixels.set(context.getImageData(0, 0, width, rows).data, 4 * top * width);
  }
  bitmap.close();
  return pixels;
}

// Throws a Problem if this browser protects against fingerprinting by changing pixels that a page reads.
export function checkCanvas() {
  const side = 16;
  const levels = Uint8ClampedArray.from({ length: 4 * side * side }, (_, at) => (at % 4 === 3 ? 255 : (at * 37) % 256));
  const context = new OffscreenCanvas(side, side).getContext("2d", { willReadFrequently: true });
  context.putImageData(new ImageData(levels, side, side), 0, 0);
  if (context.getImageData(0, 0, side, side).data.every((level, at) => level === levels[at])) return;
  throw new Problem("not-restored", "this browser changes the pixels that a page reads, to prevent fingerprinting; allow this site to read them");
}

// Returns the file to save. `photo`: what `decode` returned, with other pixels. `output`: { format: "same" or a
// suffix, quality: 1 to 100 or null, metadata: "keep", "safe" or "strip" }.
export async function encode({ pixels, width, height, parts }, { format: wanted = "same", quality, metadata = "keep" }) {
  const format = SUFFIXES[wanted] ?? parts.format;
  if (format === "JPEG" && parts.alpha) throw new Problem("options", "JPEG cannot hold the transparency of this image; save as PNG or WebP");
  const encoded = format === "PNG" ? await encodePng(pixels, width, height, parts) : await byCanvas(pixels, width, height, format, quality, parts);
  const given = await carried(parts, format, metadata, width, height);
  return new Blob([join(format, encoded, given)], { type: TYPES[format] });
}

async function byCanvas(pixels, width, height, format, quality, parts) {
  const most = { JPEG: 65500, WebP: 16383 }[format];
  if (Math.max(width, height) > most) throw new Problem("options", `${width} x ${height}: a side of a ${format} has at most ${most} pixels; save as PNG`);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true, colorSpace: "srgb" });
  if (!context) throw new Problem("out-of-memory", `this browser cannot encode ${width} x ${height} pixels as ${format}; save as PNG`);
  for (let top = 0; top < height; top += STRIP) {
    const rows = Math.min(STRIP, height - top);
    context.putImageData(new ImageData(pixels.subarray(4 * top * width, 4 * (top + rows) * width), width, rows), 0, top);
  }
  const lossless = format === "WebP" && parts.lossless && parts.format === "WebP" && !quality; // 1 is lossless
  const blob = await canvas.convertToBlob({ type: TYPES[format], quality: lossless ? 1 : Math.min((quality || QUALITY[format]) / 100, 0.995) });
  if (blob.type !== TYPES[format]) throw new Problem("not-acceptable", `this browser cannot write ${format}; save as PNG or JPEG`);
  return new Uint8Array(await blob.arrayBuffer());
}

// Returns what of the metadata is written: what the policy permits and the format can hold.
async function carried(parts, format, policy, width, height) {
  const same = format === parts.format;
  const given = { width, height, icc: parts.icc, colours: same ? parts.colours : [], exif: null, xmp: null, own: [] };
  if (format === "PNG" && given.icc) given.compressed = await deflated(given.icc);
  if (policy === "strip") return given;
  const exif = parts.exif && upright(parts.exif, width, height);
  if (policy === "safe") return { ...given, exif: exif && safe(exif) };
  return { ...given, exif, xmp: parts.xmp, own: same ? parts.own : [] };
}

// PNG: browsers multiply by alpha, and lose it again where it is small, so these are our own.

async function decodePng(bare, { width, height, colour }) {
  const channels = colour === 6 ? 4 : 2;
  const stride = channels * width;
  const data = await inflated(concat([...idat(bare)])).catch(() => new Uint8Array());
  if (data.length < height * (stride + 1)) throw new Problem("not-a-picture", "the PNG is damaged");
  const pixels = new Uint8ClampedArray(4 * width * height);
  let above = new Uint8Array(stride);
  for (let row = 0; row < height; row += 1) {
    const start = row * (stride + 1);
    const line = data.subarray(start + 1, start + 1 + stride);
    unfilter(data[start], line, above, channels);
    for (let from = 0, to = 4 * row * width; from < stride; from += channels, to += 4) {
      pixels[to] = line[from];
      pixels[to + 1] = line[channels === 4 ? from + 1 : from];
      pixels[to + 2] = line[channels === 4 ? from + 2 : from];
      pixels[to + 3] = line[from + channels - 1];
    }
    above = line;
  }
  return pixels;
}

function* idat(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    if (view.getUint32(at + 4) === 0x49444154) yield bytes.subarray(at + 8, at + 8 + view.getUint32(at));
  }
}

function unfilter(kind, line, above, step) {
  for (let at = 0; at < line.length; at += 1) {
    const left = at < step ? 0 : line[at - step];
    const corner = at < step ? 0 : above[at - step];
    if (kind === 1) line[at] += left;
    else if (kind === 2) line[at] += above[at];
    else if (kind === 3) line[at] += (left + above[at]) >> 1;
    else if (kind === 4) line[at] += paeth(left, above[at], corner);
  }
}

function paeth(left, above, corner) {
  const guess = left + above - corner;
  const [one, two, three] = [Math.abs(guess - left), Math.abs(guess - above), Math.abs(guess - corner)];
  if (one <= two && one <= three) return left;
  return two <= three ? above : corner;
}

// Encodes with the filter "up", row by row, so that no second copy of the image is needed.
export async function encodePng(pixels, width, height, { gray, alpha }) {
  const channels = (gray ? 1 : 3) + (alpha ? 1 : 0);
  const places = [...(gray ? [0] : [0, 1, 2]), ...(alpha ? [3] : [])];
  let row = 0;
  const rows = new ReadableStream({
    pull(controller) {
      if (row === height) { controller.close(); return; }
      const count = Math.min(64, height - row);
      const lines = new Uint8Array(count * (channels * width + 1));
      for (let to = 0, end = row + count; row < end; row += 1) {
        lines[to++] = 2;
        for (let at = 4 * row * width; at < 4 * (row + 1) * width; at += 4) {
          for (const place of places) lines[to++] = pixels[at + place] - (row ? pixels[at + place - 4 * width] : 0);
        }
      }
      controller.enqueue(lines);
    },
  });
  return concat(await pngParts({ width, height, colour: (gray ? 0 : 2) + (alpha ? 4 : 0) }, rows));
}

function deflated(data) { return bytesOf(new Blob([data]).stream().pipeThrough(new CompressionStream("deflate"))); }

function inflated(data) { return bytesOf(new Blob([data]).stream().pipeThrough(new DecompressionStream("deflate"))); }

async function bytesOf(stream) { return new Uint8Array(await new Response(stream).arrayBuffer()); }

// Returns pixels turned upright from an EXIF orientation, and their size.
export function turned(pixels, width, height, orientation) {
  if (orientation === 1) return { pixels, width, height };
  const swapped = orientation >= 5;
  const [wide, high] = swapped ? [height, width] : [width, height];
  const from = new Uint32Array(pixels.buffer, pixels.byteOffset, width * height);
  const to = new Uint32Array(width * height);
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const [x, y] = place(orientation, row, column, width, height);
      to[y * wide + x] = from[row * width + column];
    }
  }
  return { pixels: new Uint8ClampedArray(to.buffer), width: wide, height: high };
}

// Returns where a stored pixel is shown.
function place(orientation, row, column, width, height) {
  const [last, bottom] = [width - 1 - column, height - 1 - row];
  return [[column, row], [last, row], [last, bottom], [column, bottom], [row, column], [bottom, column], [bottom, last], [row, last]][orientation - 1];
}

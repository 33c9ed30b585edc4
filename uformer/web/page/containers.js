// JPEG, PNG and WebP files as containers: what lies beside the pixels is taken out, and put into the new file.
//
// `split(bytes)` returns { format, width, height, gray, alpha, lossless, interlaced, bare, exif, xmp, icc, colours,
// own }. `bare` is the file without metadata and profile, so that every browser decodes the values that it stores;
// `colours` and `own` are chunks or segments that only this format holds. It throws a problem (engine.js) for a
// file that this page cannot restore.

import { chunkOf } from "./png.js";

export class Problem extends Error {
  constructor(type, detail) { super(detail); this.type = `urn:uformer:${type}`; this.detail = detail; this.status = 0; }
}

const PNG = [137, 80, 78, 71, 13, 10, 26, 10];
const TEXT = new TextEncoder();
const EXIF = TEXT.encode("Exif\0\0");
const XMP = TEXT.encode("http://ns.adobe.com/xap/1.0/\0");
const ICC = TEXT.encode("ICC_PROFILE\0");
const PHOTOSHOP = TEXT.encode("Photoshop 3.0\0");
const XMP_TEXT = TEXT.encode("XML:com.adobe.xmp\0");
const SEGMENT = 65533; // bytes of data in a JPEG segment
const OTHERS = [[/^ftyp(heic|heix|mif1|msf1|hevc)/, "HEIC"], [/^ftypavi[fs]/, "AVIF"], [/^ftypcrx/, "camera raw"]];

export function split(bytes) {
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return splitJpeg(bytes);
  if (starts(bytes, 0, PNG)) return splitPng(bytes);
  if (ascii(bytes, 0, 4) === "RIFF" && ascii(bytes, 8, 4) === "WEBP") return splitWebp(bytes);
  const kind = OTHERS.find(([pattern]) => pattern.test(ascii(bytes, 4, 8)))?.[1]
    ?? (["II*\0", "MM\0*"].includes(ascii(bytes, 0, 4)) ? "TIFF or camera raw" : null);
  if (kind) throw new Problem("cannot-read", `${kind} cannot be read in the browser; uformer on a computer reads it`);
  throw new Problem("not-a-picture", "not a PNG, JPEG or WebP file");
}

// Returns the encoded file with the metadata put in. `encoded`: as this browser or encodePng made it. `given`:
// { width, height, exif, xmp, icc, own }, of which `own` is of the same format.
export function join(format, encoded, given) {
  if (format === "JPEG") return joinJpeg(encoded, given);
  return format === "PNG" ? joinPng(encoded, given) : joinWebp(encoded, given);
}

// JPEG

function splitJpeg(bytes) {
  const found = { format: "JPEG", lossless: false, alpha: false, interlaced: false, exif: null, xmp: null, colours: [], own: [] };
  const bare = [bytes.subarray(0, 2)];
  const profile = [];
  let at = 2;
  for (;;) {
    while (bytes[at] === 0xff && bytes[at + 1] === 0xff) at += 1;
    const marker = bytes[at + 1];
    const length = (bytes[at + 2] << 8) | bytes[at + 3];
    if (bytes[at] !== 0xff || length < 2 || at + 2 + length > bytes.length) throw new Problem("not-a-picture", "the JPEG is damaged");
    const segment = bytes.subarray(at, at + 2 + length);
    const data = segment.subarray(4);
    if (marker === 0xda) break;
    at += 2 + length;
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      if (data[0] !== 8) throw new Problem("cannot-read", `this JPEG has ${data[0]} bits per sample; the page restores 8`);
      if (data[5] === 4) throw new Problem("cannot-read", "this JPEG has CMYK colours; save it as RGB first");
      Object.assign(found, { height: (data[1] << 8) | data[2], width: (data[3] << 8) | data[4], gray: data[5] === 1 });
    }
    if (marker === 0xe1 && starts(data, 0, EXIF)) found.exif = data.slice(EXIF.length);
    else if (marker === 0xe1 && starts(data, 0, XMP)) found.xmp = data.slice(XMP.length);
    else if (marker === 0xe2 && starts(data, 0, ICC)) profile[data[ICC.length] - 1] = data.subarray(ICC.length + 2);
    else if (marker === 0xfe || (marker === 0xed && starts(data, 0, PHOTOSHOP))) found.own.push(segment.slice());
    else if (marker < 0xe1 || marker > 0xed) bare.push(segment);
  }
  bare.push(bytes.subarray(at));
  return { ...found, icc: profile.length ? concat(profile.filter(Boolean)) : null, bare: concat(bare) };
}

function joinJpeg(encoded, { exif, xmp, icc, own }) {
  const { bare } = splitJpeg(encoded);
  const start = bare[3] === 0xe0 ? 4 + ((bare[4] << 8) | bare[5]) : 2; // behind JFIF's own segment
  const added = [];
  if (exif) added.push(segmentOf(0xe1, "EXIF", EXIF, exif));
  if (xmp) added.push(segmentOf(0xe1, "XMP", XMP, xmp));
  if (icc) {
    const most = SEGMENT - ICC.length - 2;
    const count = Math.ceil(icc.length / most);
    for (let part = 0; part < count; part += 1) {
      added.push(segmentOf(0xe2, "profile", ICC, [part + 1, count], icc.subarray(part * most, (part + 1) * most)));
    }
  }
  return concat([bare.subarray(0, start), ...added, ...own, bare.subarray(start)]);
}

function segmentOf(marker, name, ...parts) {
  const data = concat(parts);
  if (data.length > SEGMENT) throw new Problem("options", `${data.length} bytes of ${name} do not fit into a JPEG; remove the metadata or save as PNG`);
  return concat([[0xff, marker, (data.length + 2) >> 8, (data.length + 2) & 255], data]);
}

// PNG

const SHOWN = new Set(["gAMA", "cHRM", "sRGB", "cICP", "pHYs"]); // how the pixels are to be shown
const KEPT = new Set(["tEXt", "zTXt", "iTXt", "tIME"]);
const NEEDED = new Set(["IHDR", "PLTE", "IDAT", "IEND", "tRNS"]);

function splitPng(bytes) {
  const view = viewOf(bytes);
  const found = { format: "PNG", lossless: true, exif: null, xmp: null, icc: null, profile: null, colours: [], own: [] };
  const bare = [bytes.subarray(0, 8)];
  for (let at = 8, type = ""; type !== "IEND"; ) {
    if (at + 12 > bytes.length) throw new Problem("not-a-picture", "the PNG is cut off");
    const length = view.getUint32(at);
    type = ascii(bytes, at + 4, 4);
    if (at + 12 + length > bytes.length) throw new Problem("not-a-picture", "the PNG is cut off");
    const chunk = bytes.subarray(at, at + 12 + length);
    const data = bytes.subarray(at + 8, at + 8 + length);
    at += 12 + length;
    if (type === "IHDR") {
      if (data[8] === 16) throw new Problem("cannot-read", "this PNG has 16 bits per sample; the page restores 8, uformer on a computer keeps 16");
      const [width, height, colour] = [viewOf(data).getUint32(0), viewOf(data).getUint32(4), data[9]];
      Object.assign(found, { width, height, depth: data[8], colour, gray: colour === 0 || colour === 4, alpha: colour >= 4, interlaced: data[12] === 1 });
    }
    if (type === "acTL") throw new Problem("cannot-read", "an animation cannot be restored; save its frames as images");
    if (type === "tRNS") found.alpha = true;
    if (NEEDED.has(type)) bare.push(chunk);
    else if (type === "eXIf") found.exif = data.slice();
    else if (type === "iCCP") found.profile = data.slice(data.indexOf(0) + 2);
    else if (type === "iTXt" && starts(data, 0, XMP_TEXT) && data[XMP_TEXT.length] === 0) found.xmp = data.slice(XMP_TEXT.length + 4);
    else if (SHOWN.has(type)) found.colours.push(chunk.slice());
    else if (KEPT.has(type)) found.own.push(chunk.slice());
  }
  return { ...found, bare: concat(bare) };
}

function joinPng(encoded, { exif, xmp, icc, colours = [], own, compressed }) {
  const head = 8 + 25; // signature and IHDR
  const added = [...colours];
  if (icc) added.push(chunkOf("iCCP", TEXT.encode("icc\0\0"), compressed));
  if (exif) added.push(chunkOf("eXIf", exif));
  if (xmp) added.push(chunkOf("iTXt", XMP_TEXT, [0, 0, 0, 0], xmp));
  return concat([encoded.subarray(0, head), ...added, ...own, encoded.subarray(head)]);
}

// WebP

function splitWebp(bytes) {
  const found = { format: "WebP", gray: false, alpha: false, lossless: false, interlaced: false, exif: null, xmp: null, icc: null, colours: [], own: [] };
  const bare = [];
  for (const [type, data] of riffChunks(bytes)) {
    if (type === "ANIM" || type === "ANMF") throw new Problem("cannot-read", "an animation cannot be restored; save its frames as images");
    if (type === "ICCP") found.icc = data.slice();
    else if (type === "EXIF") found.exif = starts(data, 0, EXIF) ? data.slice(EXIF.length) : data.slice();
    else if (type === "XMP ") found.xmp = data.slice();
    else if (["VP8 ", "VP8L", "ALPH"].includes(type)) {
      bare.push([type, data]);
      if (type !== "ALPH") Object.assign(found, type === "VP8 " ? sizeOfVp8(data) : sizeOfVp8l(data), { lossless: type === "VP8L" });
    }
  }
  if (!found.width) throw new Problem("not-a-picture", "the WebP is damaged");
  found.alpha ||= bare.some(([type]) => type === "ALPH");
  return { ...found, bare: riff(bare.length > 1 ? [["VP8X", extended(0x10, found)], ...bare] : bare) };
}

function joinWebp(encoded, { width, height, exif, xmp, icc }) {
  const image = [...riffChunks(encoded)].filter(([type]) => ["VP8 ", "VP8L", "ALPH"].includes(type));
  const alpha = image.some(([type, data]) => type === "ALPH" || (type === "VP8L" && sizeOfVp8l(data).alpha));
  const flags = (icc ? 0x20 : 0) | (alpha ? 0x10 : 0) | (exif ? 0x08 : 0) | (xmp ? 0x04 : 0);
  if (!(icc || exif || xmp)) return encoded;
  return riff([
    ["VP8X", extended(flags, { width, height })],
    ...(icc ? [["ICCP", icc]] : []),
    ...image,
    ...(exif ? [["EXIF", exif]] : []),
    ...(xmp ? [["XMP ", xmp]] : []),
  ]);
}

function* riffChunks(bytes) {
  const view = viewOf(bytes);
  for (let at = 12; at + 8 <= bytes.length; ) {
    const length = view.getUint32(at + 4, true);
    if (at + 8 + length > bytes.length) throw new Problem("not-a-picture", "the WebP is cut off");
    yield [ascii(bytes, at, 4), bytes.subarray(at + 8, at + 8 + length)];
    at += 8 + length + (length % 2);
  }
}

function riff(chunks) {
  const parts = chunks.flatMap(([type, data]) => [TEXT.encode(type), little32(data.length), data, new Uint8Array(data.length % 2)]);
  const body = concat([TEXT.encode("WEBP"), ...parts]);
  return concat([TEXT.encode("RIFF"), little32(body.length), body]);
}

function extended(flags, { width, height }) {
  return concat([[flags, 0, 0, 0], little32(width - 1).subarray(0, 3), little32(height - 1).subarray(0, 3)]);
}

function sizeOfVp8(data) { return { width: (data[6] | (data[7] << 8)) & 0x3fff, height: (data[8] | (data[9] << 8)) & 0x3fff }; }

function sizeOfVp8l(data) {
  const bits = viewOf(data).getUint32(1, true);
  return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1, alpha: Boolean((bits >>> 28) & 1) };
}

// Bytes

export function concat(parts) {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) { out.set(part, at); at += part.length; }
  return out;
}

function viewOf(bytes) { return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength); }

function little32(value) { return new Uint8Array([value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24]); }

function starts(bytes, at, wanted) { return wanted.every((each, place) => bytes[at + place] === each); }

function ascii(bytes, at, length) { return String.fromCharCode(...bytes.subarray(at, at + length)); }

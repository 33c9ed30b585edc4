// Writing PNG files of 8 bits. Browsers encode colours only, and some change them a little against fingerprinting.

import { crc32 } from "./zip.js";

const TEXT = new TextEncoder();

// Returns a Blob of a gray file. `values`: one byte for each pixel.
export async function grayPng({ values, width, height }) {
  const lines = new Uint8Array((width + 1) * height); // each begins with its filter: none
  for (let row = 0; row < height; row += 1) lines.set(values.subarray(row * width, (row + 1) * width), row * (width + 1) + 1);
  return new Blob(await pngParts({ width, height, colour: 0 }, new Blob([lines]).stream()), { type: "image/png" });
}

// Returns the parts of a file as arrays of bytes. `colour`: its type. `lines`: a stream of rows, each after its filter.
export async function pngParts({ width, height, colour }, lines) {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, colour], 8); // 8 bits; the other fields are 0: the usual methods
  const data = new Uint8Array(await new Response(lines.pipeThrough(new CompressionStream("deflate"))).arrayBuffer());
  const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
  return [signature, chunkOf("IHDR", header), chunkOf("IDAT", data), chunkOf("IEND")];
}

// Returns a chunk: its length, its type, its data in parts, and their checksum.
export function chunkOf(type, ...parts) {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const chunk = new Uint8Array(12 + length);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, length);
  chunk.set(TEXT.encode(type), 4);
  let end = 8;
  for (const part of parts) { chunk.set(part, end); end += part.length; }
  view.setUint32(end, crc32(chunk.subarray(4, end)));
  return chunk;
}

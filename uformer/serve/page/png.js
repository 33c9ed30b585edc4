// A gray PNG of 8 bits. Browsers encode colours only, and some change them a little against fingerprinting.

import { crc32 } from "./zip.js";

// Returns a Blob of the file. `values`: one byte for each pixel.
export async function grayPng({ values, width, height }) {
  const lines = new Uint8Array((width + 1) * height); // each begins with its filter: none
  for (let row = 0; row < height; row += 1) lines.set(values.subarray(row * width, (row + 1) * width), row * (width + 1) + 1);
  const packed = new Blob([lines]).stream().pipeThrough(new CompressionStream("deflate"));
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8); // bits; the other fields are 0: gray, and the usual methods
  const parts = [["IHDR", header.buffer], ["IDAT", await new Response(packed).arrayBuffer()], ["IEND", new ArrayBuffer(0)]];
  const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
  return new Blob([signature, ...parts.map(([name, data]) => chunk(name, data))], { type: "image/png" });
}

function chunk(name, data) {
  const bytes = new Uint8Array(12 + data.byteLength);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.byteLength);
  bytes.set(new TextEncoder().encode(name), 4);
  bytes.set(new Uint8Array(data), 8);
  view.setUint32(8 + data.byteLength, crc32(bytes.subarray(4, 8 + data.byteLength)));
  return bytes;
}

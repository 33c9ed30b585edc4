// A ZIP archive of files that are compressed already: stored as they are, with names in UTF-8 (APPNOTE 6.3).

const MOST = 2 ** 32 - 1; // bytes of an archive without the ZIP64 extension
const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let bits = index;
  for (let step = 0; step < 8; step += 1) bits = bits & 1 ? (bits >>> 1) ^ 0xedb88320 : bits >>> 1;
  return bits;
});

export function crc32(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = TABLE[(sum ^ byte) & 255] ^ (sum >>> 8);
  return (sum ^ 0xffffffff) >>> 0;
}

// Returns a Blob of the archive. `files`: [{name, blob}]; equal names get a number. The blobs are not copied.
export async function zip(files, now = new Date()) {
  const parts = [];
  const directory = [];
  const names = new Set();
  let offset = 0;
  for (const { name, blob } of files) {
    const path = new TextEncoder().encode(unused(name, names));
    const sum = crc32(new Uint8Array(await blob.arrayBuffer()));
    const header = [[4, 0x04034b50], ...fields(sum, blob.size, path.length, now)];
    parts.push(packed(header), path, blob);
    directory.push(packed([[4, 0x02014b50], [2, 20], ...fields(sum, blob.size, path.length, now), [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]]), path);
    offset += 30 + path.length + blob.size;
  }
  const size = directory.reduce((total, part) => total + part.length, 0);
  if (offset + size > MOST || files.length > 65534) throw new RangeError("the archive would be larger than 4 GB");
  const end = packed([[4, 0x06054b50], [2, 0], [2, 0], [2, files.length], [2, files.length], [4, size], [4, offset], [2, 0]]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

// The fields that both headers of a file have: version, UTF-8 names, stored, time, checksum, sizes, name, extra.
function fields(sum, size, length, now) {
  const time = (now.getHours() << 11) | (now.getMinutes() << 5) | (now.getSeconds() >> 1);
  const date = (Math.max(now.getFullYear() - 1980, 0) << 9) | ((now.getMonth() + 1) << 5) | now.getDate();
  return [[2, 20], [2, 0x0800], [2, 0], [2, time], [2, date], [4, sum], [4, size], [4, size], [2, length], [2, 0]];
}

function packed(list) {
  const bytes = new DataView(new ArrayBuffer(list.reduce((total, [width]) => total + width, 0)));
  let at = 0;
  for (const [width, value] of list) {
    if (width === 2) bytes.setUint16(at, value, true); else bytes.setUint32(at, value, true);
    at += width;
  }
  return new Uint8Array(bytes.buffer);
}

function unused(name, names) {
  const dot = name.lastIndexOf(".") > 0 ? name.lastIndexOf(".") : name.length;
  let free = name;
  for (let count = 2; names.has(free.toLowerCase()); count += 1) free = `${name.slice(0, dot)} (${count})${name.slice(dot)}`;
  names.add(free.toLowerCase());
  return free;
}

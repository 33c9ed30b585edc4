// Whether a TIFF is a stack. The page reads only its directories, so that no stack is uploaded for a preview that
// the page cannot show. What it does not recognise, such as a single page of int16, the server refuses to preview.

const [NEW_SUBFILE_TYPE, OLD_SUBFILE_TYPE] = [254, 255]; // the lowest tags, so they come first
const [REDUCED, MASK, OLD_REDUCED] = [1, 4, 2]; // kinds of images that belong to another one
const SHORT = 3;
const MOST = 100; // directories that are read

// Returns whether a file holds several images. A file that cannot be read as TIFF holds none.
export async function isStack(file) {
  try {
    return (await countImages(file)) > 1;
  } catch (error) {
    if (error instanceof RangeError) return false; // cut off
    throw error;
  }
}

// Returns the number of images, but not more than 2.
async function countImages(file) {
  const part = async (at, length) => new DataView(await file.slice(at, at + length).arrayBuffer());
  const start = await part(0, 16);
  const little = start.getUint16(0) === 0x4949; // "II"
  if (!little && start.getUint16(0) !== 0x4d4d) return 0;
  const version = start.getUint16(2, little);
  if (version !== 42 && version !== 43) return 0;
  const big = version === 43; // BigTIFF has wider fields
  const [counter, entry, offset, valueAt] = big ? [8, 20, 8, 12] : [2, 12, 4, 8]; // bytes
  const wide = (view, at) => (big ? Number(view.getBigUint64(at, little)) : view.getUint32(at, little));
  let count = 0;
  let at = wide(start, offset);
  for (let read = 0; at && count < 2 && read < MOST; read += 1) {
    const header = await part(at, counter);
    const length = entry * (big ? wide(header, 0) : header.getUint16(0, little));
    const directory = await part(at + counter, length + offset);
    const [tag, kind] = [directory.getUint16(0, little), directory.getUint16(2, little)];
    const value = kind === SHORT ? directory.getUint16(valueAt, little) : directory.getUint32(valueAt, little);
    const belongs = tag === NEW_SUBFILE_TYPE ? value & (REDUCED | MASK) : tag === OLD_SUBFILE_TYPE && value === OLD_REDUCED;
    if (!belongs) count += 1;
    at = wide(directory, length);
  }
  return count;
}

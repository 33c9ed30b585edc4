// The controls of docs/controls.md for pixels in memory: pure functions, no DOM.
//
// Pixels are RGBA, interleaved, from 0 to 255, in any typed array; a Float32Array keeps fractions of a level.
// `before` is the original and `after` the restored image at full strength, with its tones locked already
// where they shall be (tones.js). The results equal those of uformer/restore/controls.py within one level of
// 8 bits, except for grain, whose strength is the same but whose noise comes from another generator.

export const NEUTRAL = Object.freeze({ strength: 1, luma: 1, chroma: 1, detail: 0, grain: 0, shadows: 0 });
export const REACH = 3; // pixels on each side of a pixel that influence it, through detail

const GRAIN = 10; // standard deviation of the grain in the middle tones, in levels

export function isNeutral(controls) { return Object.keys(NEUTRAL).every((name) => (controls[name] ?? NEUTRAL[name]) === NEUTRAL[name]); }

export function lumaOf(red, green, blue) { return 0.299 * red + 0.587 * green + 0.114 * blue; }

// Returns the pixels with the controls applied. `mask`: one value from 0 to 1 for each pixel. `texture`: what
// `textureOf` returned for these pixels, to save its time. `left`, `top`: the place of the pixels in a larger
// image, on which the grain depends. A part of an image has the same pixels as the whole, except for REACH
// pixels at its edges.
export function blend(before, after, width, height, controls, { mask, texture, left = 0, top = 0, out } = {}) {
  const { strength, luma, chroma, detail, grain, shadows } = { ...NEUTRAL, ...controls };
  const bright = strength * luma;
  const colour = strength * chroma;
  const both = Math.min(bright, colour);
  const fine = detail ? texture ?? textureOf(before, after, width, height) : null;
  const pixels = out ?? new Uint8ClampedArray(before.length);
  const value = new Float64Array(3);
  const rest = new Float64Array(3);
  for (let pixel = 0, at = 0; at < before.length; pixel += 1, at += 4) {
    const returned = fine ? detail * fine[pixel] : 0;
    let red = after[at] - before[at] - returned;
    let green = after[at + 1] - before[at + 1] - returned;
    let blue = after[at + 2] - before[at + 2] - returned;
    let share = mask ? mask[pixel] : 1;
    if (shadows) {
      const restored = lumaOf(before[at] + red, before[at + 1] + green, before[at + 2] + blue);
      const darkness = 1 - clip(restored) / 255;
      share *= 1 - shadows * (1 - darkness * darkness);
    }
    red *= share;
    green *= share;
    blue *= share;
    value[0] = clip(before[at] + both * red);
    value[1] = clip(before[at + 1] + both * green);
    value[2] = clip(before[at + 2] + both * blue);
    const change = lumaOf(red, green, blue);
    if (bright > colour) {
      for (let channel = 0; channel < 3; channel += 1) value[channel] += (bright - colour) * change;
    } else if (colour > bright) {
      rest[0] = (colour - bright) * (red - change);
      rest[1] = (colour - bright) * (green - change);
      rest[2] = (colour - bright) * (blue - change);
      addWithin(value, rest);
    }
    if (grain) {
      const light = lumaOf(value[0], value[1], value[2]) / 255;
      const noise = 4 * GRAIN * grain * light * (1 - light) * share * gaussian(left + (pixel % width), top + Math.floor(pixel / width));
      for (let channel = 0; channel < 3; channel += 1) value[channel] += noise;
    }
    pixels[at] = clip(value[0]);
    pixels[at + 1] = clip(value[1]);
    pixels[at + 2] = clip(value[2]);
    pixels[at + 3] = before[at + 3];
  }
  return pixels;
}

function clip(value) { return value < 0 ? 0 : value > 255 ? 255 : value; }

// Adds the largest share of a change with which all channels stay in range: clipping would change the luma.
function addWithin(value, change) {
  let share = 1;
  for (let channel = 0; channel < 3; channel += 1) {
    const step = Math.abs(change[channel]);
    const room = change[channel] > 0 ? 255 - value[channel] : value[channel];
    if (step > room) share = Math.min(share, room / step);
  }
  for (let channel = 0; channel < 3; channel += 1) value[channel] += share * change[channel];
}

// Returns the fine texture in the luma of what was removed, one value for each pixel: what a local mean over
// 7 x 7 pixels leaves of it, weighted by the restored image's share of the local variance of both.
export function textureOf(before, after, width, height) {
  const count = width * height;
  const removed = new Float32Array(count);
  const restored = new Float32Array(count);
  for (let pixel = 0, at = 0; pixel < count; pixel += 1, at += 4) {
    restored[pixel] = lumaOf(after[at], after[at + 1], after[at + 2]);
    removed[pixel] = restored[pixel] - lumaOf(before[at], before[at + 1], before[at + 2]);
  }
  const mean = localMean(removed, width, height);
  const level = localMean(restored, width, height);
  const noise = localMean(removed.map((each) => each * each), width, height);
  const structure = localMean(restored.map((each) => each * each), width, height);
  for (let pixel = 0; pixel < count; pixel += 1) {
    const n = Math.max(noise[pixel] - mean[pixel] ** 2, 0);
    const v = Math.max(structure[pixel] - level[pixel] ** 2, 0);
    removed[pixel] = (removed[pixel] - mean[pixel]) * (v / (v + n + 1e-8 * 255 ** 2));
  }
  return removed;
}

// Returns the mean over 7 x 7 pixels with triangular weights; the border is repeated outside.
function localMean(plane, width, height) {
  const lines = new Float32Array(plane.length);
  const means = new Float32Array(plane.length);
  const weights = [1 / 16, 2 / 16, 3 / 16, 4 / 16, 3 / 16, 2 / 16, 1 / 16];
  for (let row = 0; row < height; row += 1) {
    const start = row * width;
    for (let column = 0; column < width; column += 1) {
      let sum = 0;
      for (let step = -REACH; step <= REACH; step += 1) {
        sum += weights[step + REACH] * plane[start + Math.min(Math.max(column + step, 0), width - 1)];
      }
      lines[start + column] = sum;
    }
  }
  for (let row = 0; row < height; row += 1) {
    for (let step = -REACH; step <= REACH; step += 1) {
      const from = Math.min(Math.max(row + step, 0), height - 1) * width;
      const weight = weights[step + REACH];
      for (let column = 0; column < width; column += 1) means[row * width + column] += weight * lines[from + column];
    }
  }
  return means;
}

// Returns noise of mean 0 and deviation 1 that depends only on the place in the image: Box-Muller on two hashes.
function gaussian(column, row) {
  const place = Math.imul(column + 1, 0x9e3779b1) ^ Math.imul(row + 1, 0x85ebca6b);
  const one = (hash(place) + 1) / 4294967297;
  const two = hash(place ^ 0x5bd1e995) / 4294967296;
  return Math.sqrt(-2 * Math.log(one)) * Math.cos(2 * Math.PI * two);
}

function hash(number) { // the finaliser of MurmurHash3
  let bits = number;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

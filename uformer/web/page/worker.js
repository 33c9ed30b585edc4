// Restores photos in a worker, so that the page stays responsive. It keeps the last answers: the pixels of the
// original, and what the network changed, from which files with other controls are made.

import { blend, isNeutral } from "./blend.js";
import { checkCanvas, decode, encode } from "./codec.js";
import { Problem } from "./containers.js";
import { sharesOf } from "./mask.js";
import { Network } from "./network.js";
import { OVERLAP, restoreTiles } from "./tiles.js";
import { lockTones } from "./tones.js";

const LOCKED = new Set(["denoise"]); // as uformer/restore/tones.py
const UNIT = 64; // the change is stored in 1/64 of a level
const ROWS = 128; // rows that are blended at once; a multiple of the tone lock's cells
const REACH = 32; // rows above and below that influence them
const MOST_KEPT = 60e6; // pixels of all answers

const answers = new Map(); // id: { before, change, width, height, parts }
const cancelled = new Set();
let network;

const acts = {
  async start({ base, site, wanted }) { network = new Network(base, site, wanted); },

  async run({ id, file, options, limit }) {
    const started = performance.now();
    const report = (progress) => postMessage({ id, progress });
    report({ state: "preparing" });
    checkCanvas();
    const photo = await decode(file, limit);
    const task = options.task || "denoise";
    await network.load(task, (share) => report({ state: "loading", share }));
    stopIf(id);
    report({ state: "preparing" });
    const answer = await restored(id, photo, task, options, report);
    remember(id, answer);
    const { width, height, parts } = answer;
    const seconds = (performance.now() - started) / 1000;
    return { width, height, format: parts.format, depth: 8, seconds, notes: [network.described] };
  },

  async images({ id }) {
    const { before, width, height } = kept(id);
    const after = blended(kept(id), {});
    const made = [before, after].map((pixels) => createImageBitmap(new ImageData(pixels, width, height), { premultiplyAlpha: "default" }));
    return Promise.all(made);
  },

  async render({ id, controls, output, mask }) {
    const answer = kept(id);
    return encode({ ...answer, pixels: blended(answer, controls, mask) }, output);
  },

  async close({ id }) { answers.delete(id); },
};

onmessage = async ({ data: { act, call, ...values } }) => {
  if (act === "cancel") { cancelled.add(values.id); return; }
  try {
    const result = await acts[act](values);
    postMessage({ call, result }, act === "images" ? result : []);
  } catch (error) {
    postMessage({ call, problem: described(error) });
  } finally {
    if (act === "run") cancelled.delete(values.id);
  }
};

// Runs the network on all tiles. Returns the answer, with its tones locked where the task asks for it.
async function restored(id, { pixels: before, width, height, parts }, task, options, report) {
  const change = new Int16Array(3 * width * height);
  const plan = { tile: Number(options.tile) || network.tile, overlap: Number(options.overlap || OVERLAP), multiple: network.multiple };
  let first = 0;
  const next = async (done, all) => {
    await new Promise((resolve) => { setTimeout(resolve); }); // lets a message arrive
    stopIf(id);
    first ||= performance.now();
    const seconds = done ? ((performance.now() - first) / 1000 / done) * (all - done) : undefined;
    report({ state: "running", share: done / all, done, tiles: all, seconds });
  };
  const run = (values, rows, columns) => network.run(values, rows, columns);
  await restoreTiles(before, width, height, plan, run, next, (row, planes, count) => {
    for (let at = 4 * row * width, to = 3 * row * width, from = 0; from < count * width; from += 1, at += 4, to += 3) {
      for (let channel = 0; channel < 3; channel += 1) change[to + channel] = stored(255 * planes[channel][from] - before[at + channel]);
    }
  });
  const answer = { before, change, width, height, parts };
  return LOCKED.has(task) ? { ...answer, change: locked(answer) } : answer;
}

function stored(levels) { return Math.min(Math.max(Math.round(UNIT * levels), -32768), 32767); }

// Returns the change with its tones locked, computed in bands.
function locked(answer) {
  const { before, change, width, height } = answer;
  const out = new Int16Array(change.length);
  for (const { top, bottom, start, end } of bands(height, REACH)) {
    const original = before.subarray(4 * start * width, 4 * end * width);
    const after = lockTones(original, full(answer, start, end), width, end - start);
    for (let at = 4 * (top - start) * width, to = 3 * top * width; to < 3 * bottom * width; at += 4, to += 3) {
      for (let channel = 0; channel < 3; channel += 1) out[to + channel] = stored(after[at + channel] - original[at + channel]);
    }
  }
  return out;
}

// Yields bands of rows from `top` to `bottom`, and with `reach` more rows on both sides, from `start` to `end`.
function* bands(height, reach) {
  for (let top = 0; top < height; top += ROWS) {
    const bottom = Math.min(top + ROWS, height);
    yield { top, bottom, start: Math.max(top - reach, 0), end: Math.min(bottom + reach, height) };
  }
}

// Returns rows of the image restored at full strength, not clipped.
function full({ before, change, width }, top, bottom) {
  const after = new Float32Array(4 * width * (bottom - top));
  for (let at = 0, from = 3 * top * width, start = 4 * top * width; at < after.length; at += 4, from += 3) {
    for (let channel = 0; channel < 3; channel += 1) after[at + channel] = before[start + at + channel] + change[from + channel] / UNIT;
    after[at + 3] = before[start + at + 3];
  }
  return after;
}

// Returns the pixels with the controls and a mask applied, computed in bands.
function blended(answer, controls, mask) {
  const { before, width, height } = answer;
  const out = new Uint8ClampedArray(before.length);
  for (const { top, bottom, start, end } of bands(height, isNeutral(controls) ? 0 : REACH)) {
    const shares = mask && sharesOf(mask, answer, { left: 0, top: start, columns: width, rows: end - start, width, height: end - start });
    const part = blend(before.subarray(4 * start * width, 4 * end * width), full(answer, start, end), width, end - start, controls, { mask: shares, top: start });
    out.set(part.subarray(4 * (top - start) * width, 4 * (bottom - start) * width), 4 * top * width);
  }
  return out;
}

// Keeps an answer, and forgets the oldest ones if all together are too large.
function remember(id, answer) {
  answers.set(id, answer);
  let total = 0;
  for (const [other, { width, height }] of [...answers].reverse()) {
    total += width * height;
    if (total > MOST_KEPT && other !== id) answers.delete(other);
  }
}

function kept(id) {
  const answer = answers.get(id);
  if (!answer) throw new Problem("no-such-job", "");
  return answer;
}

function stopIf(id) {
  if (cancelled.has(id)) throw new DOMException("cancelled", "AbortError");
}

function described(error) {
  if (error instanceof Problem) return { type: error.type, detail: error.detail, status: 0 };
  if (error.name === "AbortError") return { name: "AbortError" };
  const memory = error instanceof RangeError || /memory|allocat/i.test(error.message ?? error);
  const detail = String(error?.message ?? error).split("\n")[0].slice(0, 300);
  return { type: `urn:uformer:${memory ? "out-of-memory" : "not-restored"}`, detail, status: 0 };
}

// The settings of a photo: what the network runs with, the controls applied afterwards, and the file to save.

import { NEUTRAL } from "./blend.js";
import { unbroken } from "./words.js";

export const DEFAULTS = {
  run: { task: "denoise", weights: "", precision: "", tile: "", overlap: "", ensemble: "" },
  controls: { ...NEUTRAL },
  output: { format: "same", quality: "", metadata: "keep" },
};

const LOSSY = new Set(["jpg", "webp", "avif"]);
const TASKS = { denoise: "noise removed", derain: "rain removed", deblur: "blur removed" };
const CONTROLS = { strength: "strength", luma: "brightness", chroma: "colour", detail: "detail", grain: "grain", shadows: "shadows only" };
export const FORMATS = { png: "PNG", jpg: "JPEG", webp: "WebP", tif: "TIFF", avif: "AVIF" }; // that can be written, by suffix
const SUFFIXES = Object.fromEntries(Object.entries(FORMATS).map(([suffix, name]) => [name, suffix]));

export function same(one, other) { return JSON.stringify(one) === JSON.stringify(other); }

// Returns the options of `run` and of `render`, as engine.js describes them.
export function runOptions({ run }) { return run.weights ? { ...run, task: "" } : run; }

export function outputOf({ output }, facts) {
  return { ...output, quality: LOSSY.has(suffixOf(output, facts)) ? output.quality : "" };
}

// Returns the suffix of the file to save; "" if nothing is known about the original yet.
function suffixOf(output, facts) {
  if (output.format !== "same") return output.format;
  if (!facts) return "";
  return SUFFIXES[facts.format] ?? (facts.format === "HEIC" ? "jpg" : "tif"); // the original's format can be read only
}

export function isLossy(output, facts) { const suffix = suffixOf(output, facts); return !suffix || LOSSY.has(suffix); }

// Says what a file was made with. `masked`: whether a mask was painted.
export function described({ run, controls }, masked) {
  const changed = Object.keys(CONTROLS).filter((name) => controls[name] !== NEUTRAL[name]);
  const parts = changed.map((name) => `${CONTROLS[name]} ${Math.round(100 * controls[name])}%`);
  return [run.weights || TASKS[run.task] || run.task, ...parts, ...(masked ? ["painted mask"] : [])].map(unbroken).join(", ");
}

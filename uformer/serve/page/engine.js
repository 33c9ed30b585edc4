// The engine restores photos for the page, which imports this module only and knows nothing of what it does.
// This engine asks the server that sent the page. A static site has another file of this name, with the same
// exports, that restores in the browser:
//
// describe() -> Promise of what the engine can do:
//   { tasks,                   ["denoise", "derain", "deblur"]
//     weights,                 [{name, default}]: weights besides those of the tasks; mostly none
//     options,                 ["precision", "tile", "overlap", "ensemble"]: options of `run` besides task, weights
//     reads, writes,           suffixes: ["png", "jpg", "jpeg", ...] and ["png", "jpg", ...]
//     metadata,                policies that `render` knows, of "keep", "safe" and "strip"
//     limits,                  {bytes, pixels}, or null
//     reference,               address of the API reference, or ""
//     promise }                where the photos are meanwhile, in a sentence for the page
// run(file, options, onProgress, signal) -> Promise of an answer. Runs the network.
//   options: { task, weights, precision, tile, overlap, ensemble, controls, output, mask }; those that are not
//     set, or "", have their default. controls, output, mask: what `render` will be asked for first, which may
//     save work
//   onProgress({ state, share, done, tiles, seconds, ahead, notReady }): state is "preparing", "uploading", "loading",
//     "busy", "waiting" or "running"; share (0 to 1), tiles, done and ahead (photos in the queue) if known;
//     seconds: those left, if known; notReady: why the server takes no photos yet, if it is "busy" for that reason
// An answer has
//   held                       whether `images` works, and `render` with other values than the first ones; an
//                              engine that cannot keep an answer says false, and the page runs the network again
//   facts                      { width, height, format, depth, seconds, notes: [sentences], pages }; pages: their
//                              number in a stack, whose pages are not shown; otherwise null or missing
//   images()                   -> Promise of {before, after}: ImageBitmaps of the original and of the image
//                              restored at full strength, upright and of equal size; the page blends them
//                              (blend.js) to show the controls at once, and closes them
//   render(controls, output, signal, mask)   -> Promise of a Blob: the file to save, with exactly these controls
//                              (strength, luma, chroma, detail, grain, shadows, as in blend.js) and output:
//                              { format: "same" or a suffix, quality: 1 to 100 or null, metadata }
//                              mask: null, or { values, width, height, version } as `copy` in mask.js returns: 255
//                              restores, and masks of one version are equal
//   close()                    forgets the photo; the answer cannot be used afterwards
// preview(blob) -> Promise of a Blob that shows the image of a file that this browser cannot show. Throws the type
//                              "urn:uformer:stack" for a file that can be restored, but has no single image to show
// onTokenNeeded(ask)           `ask(wrong)` returns a promise of the token that a person enters
//
// A failure is thrown as {type: "urn:uformer:...", detail, status}, see words.js; an aborted signal as
// AbortError. `render` and `images` throw the type "urn:uformer:no-such-job" if the answer is no longer kept;
// the page then runs the network again.

import { NEUTRAL, isNeutral } from "./blend.js";
import { call, onTokenNeeded, upload } from "./http.js";
import { grayPng } from "./png.js";
import { isStack } from "./tiff.js";

export { onTokenNeeded };

const SENT_AS = new Set(["image/png", "image/jpeg", "image/webp", "image/tiff", "image/avif", "image/gif", "image/heic", "image/heif"]);
const BITMAPS = { imageOrientation: "from-image" };

export async function describe() {
  const [about, reference] = await Promise.all([call("v1/models"), call("openapi.json")].map(async (each) => (await each).json()));
  const parameters = reference.paths["/v1/jobs"].post.parameters;
  const choices = (name) => parameters.find((each) => each.name === name)?.schema.enum ?? [];
  return {
    tasks: [...new Set(about.models.map((model) => model.task).filter(Boolean))],
    weights: about.models.filter((model) => !model.task).map(({ name, default: chosen }) => ({ name, default: chosen })),
    options: ["precision", "tile", "overlap", "ensemble"].filter((name) => parameters.some((each) => each.name === name)),
    reads: about.suffixes.map((suffix) => suffix.slice(1)),
    writes: choices("format").filter((name) => name !== "same"),
    metadata: choices("metadata"),
    limits: { bytes: about.limits.max_bytes, pixels: about.limits.max_pixels },
    reference: "docs",
    promise: "Photos stay in the memory of this server while this page uses them. None is written to disk or sent elsewhere.",
  };
}

export async function run(file, { controls, output, mask, ...options }, onProgress, signal) {
  const first = queryOf({ ...options, ...controls, ...output });
  const [body, headers] = mask ? [await formOf(file, mask), {}] : [file, typeOf(file)];
  let job = await begin(body, headers, `${first}&hold=true`, onProgress, signal);
  try {
    while (["queued", "running"].includes(job.state)) {
      onProgress(progressOf(job));
      await sleep(job.seconds > 10 ? 600 : 200, signal);
      job = await (await call(`v1/jobs/${job.id}`, { signal })).json();
    }
    if (job.state === "failed") throw job.problem;
    if (job.state === "cancelled") throw { type: "urn:uformer:no-such-job", detail: "" };
    const blob = await (await call(`v1/jobs/${job.id}/result`, { signal })).blob();
    return new Answer(file, job, { query: queryOf({ ...controls, ...output }), blob, mask, plain: isNeutral(controls) && !mask });
  } catch (problem) {
    forget(job.id);
    throw problem;
  }
}

export async function preview(blob) {
  if (isTiff(blob) && await isStack(blob)) throw { type: "urn:uformer:stack", detail: "" };
  const response = await call("v1/restore?strength=0&format=png&metadata=strip", { method: "POST", body: blob, headers: typeOf(blob) });
  return response.blob();
}

// Camera raw files are TIFF inside, with several images, but no stacks.
function isTiff(blob) { return blob.type === "image/tiff" || /\.tiff?$/i.test(blob.name ?? ""); }

class Answer {
  // `first`: the result of the job: what it was asked for, its file, and whether it is restored at full strength.
  constructor(file, job, first) {
    Object.assign(this, { file, id: job.id, first, held: job.held });
    const { width, height, format, depth, seconds, pages } = job;
    const notes = job.not_held ? [...job.notes, "each change of a setting takes a new run"] : job.notes;
    this.facts = { width, height, format, depth, seconds, notes, pages };
    if (!this.held) this.close(); // the result is here, and nothing else can come of the job
  }

  async images() {
    this.full ??= this.first.plain ? this.first.blob : await this.result({ ...NEUTRAL, format: "png", metadata: "strip" }, undefined, null);
    const [before, after] = await Promise.all([this.file, this.full].map(bitmap));
    return { before, after };
  }

  async render(controls, output, signal, mask) {
    const query = { ...controls, ...output };
    return queryOf(query) === this.first.query && mask?.version === this.first.mask?.version ? this.first.blob : this.result(query, signal, mask);
  }

  async result(query, signal, mask) {
    const { first } = this;
    const other = mask ?? (first.mask && { ...first.mask, values: first.mask.values.map(() => 255) }); // the job's mask stays otherwise
    const body = other && { method: "POST", body: await grayPng(other), headers: { "Content-Type": "image/png" } };
    try {
      return await (await call(`v1/jobs/${this.id}/result?${queryOf(query)}`, { signal, ...body })).blob();
    } catch (problem) {
      if (![404, 409, 410].includes(problem.status)) throw problem;
      throw { ...problem, type: "urn:uformer:no-such-job" };
    }
  }

  close() { forget(this.id); }
}

async function bitmap(blob) {
  return createImageBitmap(blob, BITMAPS).catch(async () => createImageBitmap(await preview(blob), BITMAPS));
}

async function formOf(file, mask) {
  const form = new FormData();
  form.append("picture", file, "photo");
  form.append("mask", await grayPng(mask), "mask.png");
  return form;
}

// Uploads the photo. If the server is busy or not ready, waits as long as it asks for and tries again.
async function begin(body, headers, query, onProgress, signal) {
  for (let tries = 0; ; tries += 1) {
    onProgress({ state: "uploading", share: 0 });
    try {
      const response = await upload(`v1/jobs?${query}`, body, headers, (share) => onProgress({ state: "uploading", share }), signal);
      return await response.json();
    } catch (problem) {
      const notReady = problem.type === "urn:uformer:not-ready" ? problem.detail : "";
      if ((problem.status !== 429 && !notReady) || tries > 60) throw problem;
      for (let left = Math.max(problem.retryAfter, 1); left > 0; left -= 1) {
        onProgress({ state: "busy", seconds: left, notReady });
        await sleep(1000, signal);
      }
    }
  }
}

function progressOf(job) {
  if (job.state === "queued") return { state: "waiting", ahead: job.ahead };
  if (!job.tiles) return { state: "preparing" };
  return { state: "running", share: job.tiles_done / job.tiles, done: job.tiles_done, tiles: job.tiles, seconds: job.eta_seconds };
}

function queryOf(values) {
  const set = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return new URLSearchParams(set).toString();
}

function typeOf(file) { return { "Content-Type": SENT_AS.has(file.type) ? file.type : "image/*" }; }

function forget(id) { call(`v1/jobs/${id}`, { method: "DELETE", keepalive: true }).catch(() => null); }

function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => { clearTimeout(timer); reject(new DOMException("cancelled", "AbortError")); }, { once: true });
  });
}

// The engine of the static site: it restores photos in this browser, in a worker. Its exports are those of the
// server's engine.js, which describes them.

import { Problem, split } from "./containers.js";

const BASE = new URL("../", import.meta.url);
const READS = ["png", "jpg", "jpeg", "webp"];
const MOST_PIXELS = 60e6;
const CARD = "urn:uformer:graphics-card"; // the problem that the graphics card cannot be used
const RELOADED = "uformer-reloaded"; // whether this tab was reloaded for the sake of threads

// What the page says about a problem, where its own words speak of a server.
const WORDS = {
  "not-a-picture": { help: "PNG, JPEG and WebP work. Convert other files to one of these first." },
  "cannot-read": { help: "" },
  "too-many-bytes": { help: "Save a smaller file, or restore it with uformer on a computer." },
  "too-many-pixels": { help: "Crop or resize the photo, or restore it with uformer on a computer." },
  "out-of-memory": { help: "Close other tabs, or set a smaller tile under More options." },
  "not-ready": { title: "The network could not be loaded", help: "Reload the page to try again." },
  "unreachable": { title: "The network could not be loaded", help: "Connect to the internet once; afterwards the page works offline." },
};

const site = await (await fetch(new URL("site.json", BASE))).json();
const prepared = prepareOffline();
const calls = new Map();
let worker = null;
let number = 0;
let wanted = new URLSearchParams(location.search).get("engine") ?? ""; // what computes: "webgpu", "wasm" or the best
let doubts = []; // why the graphics card is no longer used, in a sentence

await isolated();

export async function describe() {
  prepared.then(() => keepOffline());
  return {
    tasks: site.models.map((model) => model.task),
    weights: [],
    options: ["tile", "overlap"],
    reads: READS,
    writes: ["png", "jpg", "webp"],
    metadata: ["keep", "safe", "strip"],
    limits: { bytes: 200e6, pixels: MOST_PIXELS },
    reference: "",
    promise: "Photos stay on this computer: the page restores them in your browser and sends nothing. It also works offline.",
  };
}

export async function run(file, { mask, ...options }, onProgress, signal) { // `render` applies the mask
  const id = ++number;
  const rest = stayAwake();
  const restore = () => ask("run", { id, file, options, limit: MOST_PIXELS }, { onProgress, signal });
  try {
    const facts = await restore().catch((problem) => {
      if (problem.type !== CARD) throw problem;
      return restore();
    });
    return new Answer(id, { ...facts, notes: [...doubts, ...facts.notes] });
  } finally {
    rest();
  }
}

// Keeps the computer awake, because a photo can take longer than it waits for a touch. Returns the function that
// ends it. Browsers end it themselves when the page is hidden, and refuse it when the battery is low.
function stayAwake() {
  let lock = null;
  let over = false;
  const hold = async () => {
    if (document.hidden) return;
    lock = await navigator.wakeLock?.request("screen").catch(() => null);
    if (over) lock?.release();
  };
  document.addEventListener("visibilitychange", hold);
  hold();
  return () => {
    over = true;
    document.removeEventListener("visibilitychange", hold);
    lock?.release();
  };
}

// The page asks for a preview of what this browser cannot show: the file says why.
export async function preview(blob) {
  try {
    split(new Uint8Array(await blob.arrayBuffer()));
  } catch (problem) {
    throw inWords(problem);
  }
  throw inWords(new Problem("not-a-picture", "the file is damaged"));
}

export function onTokenNeeded() {}

class Answer {
  constructor(id, facts) { Object.assign(this, { id, facts, held: true }); }

  async images() {
    const [before, after] = await ask("images", { id: this.id });
    return { before, after };
  }

  render(controls, output, signal, mask) { return ask("render", { id: this.id, controls, output, mask }, { signal }); }

  close() { worker?.postMessage({ act: "close", id: this.id }); }
}

// The worker

function ask(act, values, { onProgress, signal } = {}) {
  if (signal?.aborted) return Promise.reject(new DOMException("cancelled", "AbortError"));
  worker ??= started();
  return new Promise((resolve, reject) => {
    const call = ++number;
    calls.set(call, { act, resolve, reject, onProgress, id: values.id });
    signal?.addEventListener("abort", () => {
      worker?.postMessage({ act: "cancel", id: values.id }); // it stops after the present tile
      reject(new DOMException("cancelled", "AbortError"));
    }, { once: true });
    worker.postMessage({ act, call, ...values });
  });
}

function started() {
  const made = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  made.onmessage = ({ data: { call, id, progress, result, problem } }) => {
    if (progress) {
      for (const each of calls.values()) if (each.id === id) each.onProgress?.(progress);
      return;
    }
    if (problem?.type === CARD) {
      wanted = "wasm";
      doubts = [problem.detail];
      end(made, (act) => (act === "run" ? problem : new Problem("no-such-job", "")));
      return;
    }
    const { resolve, reject } = calls.get(call) ?? {};
    calls.delete(call);
    if (problem) reject?.(problem.name ? new DOMException("cancelled", problem.name) : inWords(problem));
    else resolve?.(result);
  };
  made.onerror = (event) => {
    event.preventDefault();
    end(made, () => new Problem("out-of-memory", event.message || "the worker ended"));
  };
  made.postMessage({ act: "start", base: BASE.href, site, wanted });
  return made;
}

// Ends a worker; the next call gets a new one. `problem(act)`: what becomes of the calls that wait for this one.
function end(made, problem) {
  worker = null;
  made.terminate();
  const waiting = [...calls.values()];
  calls.clear();
  for (const { act, reject } of waiting) reject(inWords(problem(act)));
}

function inWords({ type, detail, status = 0 }) { return { type, detail, status, words: WORDS[type.replace("urn:uformer:", "")] }; }

// Offline use, and the headers that threads need: the service worker cares for both.

async function prepareOffline() {
  const workers = navigator.serviceWorker;
  if (!workers) return false; // some private windows, and pages without https
  const late = new Promise((resolve) => { setTimeout(resolve, 10_000, false); });
  try {
    const registered = await workers.register(new URL("service-worker.js", BASE));
    return Boolean(registered) && await Promise.race([workers.ready.then(() => true), late]);
  } catch {
    return false;
  }
}

// Reloads the page once if the service worker is needed for threads and was not there when the page came.
async function isolated() {
  if (crossOriginIsolated) { sessionStorage.removeItem(RELOADED); return; }
  if (sessionStorage.getItem(RELOADED) || !(await prepared)) return;
  sessionStorage.setItem(RELOADED, "yes");
  location.reload();
  await new Promise(() => {});
}

async function keepOffline() {
  if (navigator.connection?.saveData) return;
  (await navigator.serviceWorker?.getRegistration(BASE.href))?.active?.postMessage("keep");
}

// The engine of the static site: it restores photos in this browser, in a worker. Its exports are those of the
// server's engine.js, which describes them.

const BASE = new URL("../", import.meta.url);
const READS = ["png", "jpg", "jpeg", "webp"];
const MOST_PIXELS = 60e6;
const RELOADED = "uformer-reloaded"; // whether this tab was reloaded for the sake of threads

const site = await (await fetch(new URL("site.json", BASE))).json();
const prepared = prepareOffline();
const calls = new Map();
let worker = null;
let number = 0;

await isolated();

export async function describe() {
  prepared.then(() => keepOffline());
  return {
    version: site.version,
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

export async function run(file, options, onProgress, signal) {
  const id = ++number;
  const facts = await ask("run", { id, file, options, limit: MOST_PIXELS }, { onProgress, signal });
  return new Answer(id, facts);
}

export async function preview() {
  throw { type: "urn:uformer:cannot-read", detail: "PNG, JPEG and WebP can be restored in the browser", status: 0 };
}

export function onTokenNeeded() {}

class Answer {
  constructor(id, facts) { Object.assign(this, { id, facts, held: true }); }

  async images() {
    const [before, after] = await ask("images", { id: this.id });
    return { before, after };
  }

  render(controls, output, signal) { return ask("render", { id: this.id, controls, output }, { signal }); }

  close() { worker?.postMessage({ act: "close", id: this.id }); }
}

// The worker

function ask(act, values, { onProgress, signal } = {}) {
  if (signal?.aborted) return Promise.reject(new DOMException("cancelled", "AbortError"));
  worker ??= started();
  return new Promise((resolve, reject) => {
    const call = ++number;
    calls.set(call, { resolve, reject, onProgress, id: values.id });
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
    const { resolve, reject } = calls.get(call) ?? {};
    calls.delete(call);
    if (problem) reject?.(problem.name ? new DOMException("cancelled", problem.name) : problem);
    else resolve?.(result);
  };
  made.onerror = (event) => {
    event.preventDefault();
    worker = null; // the next photo gets a new one
    made.terminate();
    for (const { reject } of calls.values()) reject({ type: "urn:uformer:out-of-memory", detail: event.message || "the worker ended", status: 0 });
    calls.clear();
  };
  made.postMessage({ act: "start", base: BASE.href, site, wanted: new URLSearchParams(location.search).get("engine") ?? "" });
  return made;
}

// Offline use, and the headers that threads need: the service worker cares for both.

async function prepareOffline() {
  const workers = navigator.serviceWorker;
  if (!workers) return false; // some private windows, and pages without https
  try {
    await workers.register(new URL("service-worker.js", BASE));
    await workers.ready;
    return true;
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

// The page: choosing photos, restoring them, changing the controls, and saving the results.

import { Brush } from "./brush.js";
import * as engine from "./engine.js";
import { follow } from "./focus.js";
import { NAMES, takePhotos } from "./intake.js";
import { Live } from "./live.js";
import { Panel } from "./panel.js";
import { Photo } from "./photo.js";
import { guardLeaving, saveAll } from "./saving.js";
import { DEFAULTS, described, same } from "./settings.js";
import { renderStrip } from "./strip.js";
import { bytes, duration, pixels, refusal, refusedKind, unbroken } from "./words.js";
import { Viewer } from "./viewer.js";
import { Work } from "./work.js";
import "./look.js";

const PAUSE = 350; // milliseconds without a change, after which the file is made again
const $ = (id) => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const photos = [];
const shared = { settings: DEFAULTS };
let can = null; // what the engine can do
let current = null;
let announced = "";
let packing = "";

const viewer = new Viewer($("viewer"), {
  onZoom: (text) => { $("level").textContent = text; },
  onDraw: () => { live?.draw(); brush?.draw(); },
});
const live = new Live($("live"), viewer);
const brush = new Brush(viewer, { onPaint: painted, onEnd: settled, say });
const panel = new Panel($("panel"), { onSettings: change, onScope: (alone) => { current.own = alone ? current.settings : null; settled(); } });
const work = new Work({ onChange: render, onEnd, onFile });

// Adding and removing photos

function add(files, { task, sample } = {}) {
  const list = files.map(({ file, folder }) => new Photo(file, shared, { folder, sample }));
  if (!list.length) return;
  for (const photo of list) {
    const problem = refusedKind(photo.suffix, can?.reads, Boolean(can?.reference));
    if (problem) Object.assign(photo, { state: "failed", problem });
    if (task) photo.own = { ...DEFAULTS, run: { ...DEFAULTS.run, task } };
  }
  photos.push(...list);
  select(list[0]);
  scrollTo({ top: 0, behavior: calm.matches ? "auto" : "smooth" });
}

async function addSample({ dataset }) {
  const blob = await (await fetch(new URL(dataset.sample, import.meta.url))).blob();
  add([{ file: new File([blob], dataset.sample, { type: blob.type }) }], { task: dataset.task, sample: true });
  start();
}

function remove(photo) {
  const at = photos.indexOf(photo);
  photos.splice(at, 1);
  if (photo === current) select(photos[Math.min(at, photos.length - 1)] ?? null);
  work.remove(photo);
}

takePhotos({ picker: $("picker"), camera: $("camera"), add, reads: () => can?.reads ?? Object.keys(NAMES), say });
for (const each of document.querySelectorAll("[data-sample]")) each.addEventListener("click", () => addSample(each));

// Restoring and changing the controls

function open() { return photos.filter((each) => !each.busy && each.state !== "failed" && each.needsRun); }

function start() {
  if (!$("panel").reportValidity()) return;
  for (const each of open()) work.add(each);
}

function change(settings) {
  if (!current) return;
  if (current.own) current.own = settings; else shared.settings = settings;
  if (current.held && !same(current.result.settings.controls, settings.controls)) live.show(settings.controls, current.mask);
  settled();
}

function painted() {
  live.load(current.answer);
  live.show(current.settings.controls, current.mask);
}

let timer = 0;
// Makes the file of the current photo again once its settings have not changed for a while.
function settled() {
  clearTimeout(timer);
  const photo = current;
  timer = setTimeout(async () => { await work.refresh(photo); if (photo === current && photo.current) live.hide(); }, PAUSE);
  panel.write(current.settings);
  render();
}

$("panel").addEventListener("submit", (event) => { event.preventDefault(); start(); });
$("cancel").addEventListener("click", () => { work.cancelAll(); say("Cancelled."); });
$("again").addEventListener("click", () => current && work.add(current));
$("retry").addEventListener("click", () => work.refresh(current));
$("drop-it").addEventListener("click", () => current && remove(current));
$("download").addEventListener("click", () => { current.result.saved = true; });
$("download-all").addEventListener("click", async () => {
  try {
    const left = await saveAll(photos, work, (words) => { packing = words; render(); });
    const refused = left.find((each) => each.trouble);
    if (refused) say(`${refused.name}: ${refusal(refused.trouble).text}`, true);
    else if (left.length) say("Some photos are being restored again. Download all once they are done.", true);
  } catch (error) {
    say(`The archive could not be made: ${error.message}.`, true);
  }
  packing = "";
  render();
});
guardLeaving(photos);
addEventListener("pagehide", () => { work.active?.abort.abort(); for (const each of photos) each.forgetAnswer(); });

// Display

async function select(photo) {
  current = photo;
  document.body.dataset.view = photo ? "work" : "empty";
  live.forget();
  brush.show(null);
  if (photo) panel.write(photo.settings);
  render();
  if (!photo) return;
  viewer.clear();
  await show(photo);
  await work.refresh(photo);
}

async function show(photo) {
  try {
    await viewer.show(photo.before, photo.result?.shown, photo.name);
  } catch {
    if (photo.state === "failed" || photo.unseen) { render(); return; }
    try {
      await makeVisible(photo);
      if (photo === current) await viewer.show(photo.before, photo.result?.shown, photo.name);
    } catch (problem) {
      if (photo === current) viewer.clear();
      if (problem?.type === "urn:uformer:stack") photo.unseen = { type: problem.type };
      else Object.assign(photo, { state: "failed", problem: problem?.type ? problem : { type: "urn:uformer:not-a-picture", detail: "" } });
    }
  }
  if (photo === current && photo.current) live.load(photo.answer);
  render();
}

// The engine converts formats that this browser cannot show.
async function makeVisible(photo) {
  if (photo.before === photo.url && !(await decodes(photo.url))) photo.before = URL.createObjectURL(await engine.preview(photo.file));
  const { result } = photo;
  if (result && !(await decodes(result.shown))) result.shown = URL.createObjectURL(await engine.preview(result.blob));
}

async function decodes(url) {
  const image = new Image();
  image.src = url;
  return image.decode().then(() => true, () => false);
}

async function onFile(photo) {
  if (photo !== current) return;
  await show(photo);
  if (photo.current) live.hide();
}

async function onEnd(photo) {
  if (photo.state === "failed") { say(`${photo.name}: ${refusal(photo.problem).title}.`); return; }
  say(`${photo.name} is restored.`);
  if (photo === current && !calm.matches) sweep();
}

function sweep() {
  const begin = performance.now();
  const step = (now) => {
    const part = Math.min((now - begin) / 800, 1);
    viewer.setShare(1 - 0.5 * (1 - (1 - part) ** 3));
    if (part < 1 && !$("divider").matches(":active")) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

// Says something to screen readers and, if it is `visible`, to everybody.
let hideToast = 0;
function say(text, visible = false) {
  if (text !== announced) { announced = text; $("status").textContent = text; }
  if (!visible) return;
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(hideToast);
  hideToast = setTimeout(() => { $("toast").hidden = true; }, 6000);
}

function render() {
  const focused = document.activeElement;
  const photo = current;
  $("welcome").hidden = Boolean(photo);
  $("viewer").hidden = $("tools").hidden = $("strip").hidden = !photo;
  renderStrip($("items"), photos, current, { onSelect: select, onRemove: remove });
  renderProgress();
  if (photo) renderPhoto(photo);
  follow(focused);
}

function renderPhoto(photo) {
  $("file-name").textContent = $("file-name").title = photo.name;
  $("file-facts").textContent = facts(photo);
  panel.show(photo, photos.length > 1);
  renderNotice(photo);
  renderActions(photo);
}

function renderNotice(photo) {
  const failed = photo.state === "failed";
  const problem = failed ? photo.problem : photo.unseen;
  $("notice").hidden = !problem;
  const paintable = Boolean(photo.result) && !photo.facts?.pages; // the pages of a stack are not shown
  $("compare").hidden = $("brush-group").hidden = !paintable;
  brush.show(paintable && !failed ? photo : null);
  $("viewer").classList.toggle("busy", photo.busy || failed);
  if (!problem) return;
  const words = refusal(problem);
  $("notice-title").textContent = words.title;
  $("notice-text").textContent = words.text;
  $("notice-buttons").hidden = !failed;
  $("again").hidden = words.final;
  $("drop-it").className = words.final ? "primary" : "quiet";
}

function renderActions(photo) {
  const working = Boolean(work.active);
  const todo = open();
  const again = todo.length > 0 && todo.every((each) => each.result);
  $("go").hidden = working || !todo.length;
  const many = todo.length > 1 ? `${todo.length} photos` : todo[0] !== photo && "1 other photo";
  $("go").textContent = ["Restore", many, again && "again"].filter(Boolean).join(" ");
  $("go").className = photo.result && photo.current ? "quiet wide" : "primary wide";
  $("cancel").hidden = !working;
  const { result, trouble } = photo;
  $("download").hidden = !result;
  if (result) {
    const waits = !photo.current && !photo.needsRun && !trouble;
    const words = described(result.settings, result.version);
    $("download").classList.toggle("quiet", photo.needsRun || Boolean(trouble));
    $("download").classList.toggle("primary", !photo.needsRun && !trouble);
    $("download").classList.toggle("waits", waits);
    $("download-with").textContent = waits ? "Applying the changes" : `${words[0].toUpperCase()}${words.slice(1)}\u00a0· ${unbroken(`${photo.format}, ${bytes(result.blob.size)}`)}`;
    $("download-word").textContent = photo.current || waits ? "Download" : "Download the last result";
    if (waits) for (const name of ["href", "download"]) $("download").removeAttribute(name);
    else Object.assign($("download"), { href: result.url, download: photo.target });
  }
  $("trouble").hidden = !trouble;
  $("retry").hidden = !trouble || trouble.status === 422; // other settings are needed
  if (trouble) { const { title, text } = refusal(trouble); $("trouble").textContent = `${title}. ${text}`; }
  const restored = photos.filter((each) => each.result);
  $("download-all").hidden = working || Boolean(trouble) || restored.length < 2 || restored.some((each) => each.needsRun);
  $("download-all").disabled = Boolean(packing);
  $("download-all").textContent = packing || `Download all ${restored.length} (ZIP)`;
}

function facts(photo) {
  const about = photo.facts;
  const { width, height } = about ?? (photo === current ? viewer : {});
  const parts = width ? [`${width} × ${height}`] : [];
  if (about) parts.push(`${about.format}, ${about.depth}-bit`);
  parts.push(bytes(photo.file.size));
  if (photo.result && about?.seconds >= 1.5) parts.push(`restored in ${duration(about.seconds)}`);
  return [...parts.map(unbroken), ...(about?.notes ?? [])].join("\u00a0· ");
}

function renderProgress() {
  const photo = work.active;
  $("progress").hidden = !photo;
  if (!photo) return;
  const { state, progress } = photo;
  $("progress-name").textContent = $("progress-name").title = photo.name;
  $("progress-name").hidden = !work.line.length && photo === current;
  const share = progress.share ?? null;
  let words = "Preparing";
  let eta = progress.seconds ? `${duration(progress.seconds)} left` : "";
  if (state === "uploading") words = "Uploading";
  else if (state === "loading") words = "Loading the network";
  else if (state === "busy") {
    words = progress.notReady ? `The server is not ready: ${progress.notReady}` : "The server is busy";
    eta = `retrying in ${progress.seconds} s`;
  }
  else if (state === "waiting") words = progress.ahead ? `Waiting, ${progress.ahead} ahead of this one` : "Waiting";
  else if (progress.tiles) words = `${progress.done} of ${progress.tiles} ${progress.tiles === 1 ? "tile" : "tiles"}`;
  $("progress-words").textContent = words;
  $("progress-eta").textContent = eta || (work.line.length ? `${work.line.length} more` : "");
  $("bar").classList.toggle("unknown", share === null);
  $("bar").firstElementChild.style.transform = share === null ? "" : `scaleX(${share})`;
  if (share === null) $("bar").removeAttribute("aria-valuenow"); else $("bar").setAttribute("aria-valuenow", Math.round(100 * share));
  if (progress.tiles) {
    const quarter = Math.floor((4 * progress.done) / progress.tiles) * 25;
    if (quarter && quarter < 100) say(`${photo.name}: ${quarter}%`);
  } else if (state === "waiting" || state === "busy") say(`${photo.name}: ${words}`);
}

// What is scrolled to stays clear of the bar with the buttons; see style.css.
new ResizeObserver(([{ target }]) => document.documentElement.style.setProperty("--action", `${target.offsetHeight}px`)).observe($("action"));

// Zoom and comparison

$("tools").addEventListener("click", (event) => {
  const { zoom, view } = event.target.closest("button")?.dataset ?? {};
  if (zoom === "in") viewer.zoomBy(1.5);
  if (zoom === "out") viewer.zoomBy(1 / 1.5);
  if (zoom === "toggle") viewer.toggle();
  if (view) {
    viewer.setBeside(view === "beside");
    for (const each of document.querySelectorAll("[data-view]")) each.setAttribute("aria-pressed", String(each.dataset.view === view));
    $("original").disabled = viewer.beside;
  }
});

function hold(on) { viewer.setOriginal(on); $("original").setAttribute("aria-pressed", String(viewer.original)); }
$("original").addEventListener("pointerdown", () => hold(true));
$("original").addEventListener("contextmenu", (event) => event.preventDefault()); // a long touch
$("original").addEventListener("click", (event) => { if (!event.detail) hold(!viewer.original); }); // by the keyboard
for (const name of ["pointerup", "pointercancel", "blur"]) addEventListener(name, () => { if (viewer.original) hold(false); });
addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input:not([type=range], [type=radio], [type=checkbox]), select, dialog");
  if (event.key.toLowerCase() === "o" && !event.repeat && !event.ctrlKey && !event.metaKey && !typing) hold(true);
});
addEventListener("keyup", (event) => { if (event.key.toLowerCase() === "o") hold(false); });

// What the engine can do

async function meet() {
  $("away").hidden = true;
  try {
    can = await engine.describe();
  } catch (problem) {
    const { title, text } = refusal(problem);
    $("away-text").textContent = `${title}. ${text}`;
    $("away").hidden = false;
    return;
  }
  work.limits = can.limits;
  panel.offer(can);
  const chosen = can.weights.find((each) => each.default);
  if (chosen && shared.settings === DEFAULTS) shared.settings = { ...DEFAULTS, run: { ...DEFAULTS.run, weights: chosen.name } };
  $("formats").textContent = Object.keys(NAMES).filter((name) => can.reads.includes(name)).map((name) => NAMES[name])
    .join(", ").replace(/, ([^,]*)$/, " and $1");
  $("limits").textContent = can.limits ? `, up to ${bytes(can.limits.bytes)} and ${pixels(can.limits.pixels)}` : "";
  $("promise").textContent = can.promise;
  $("reference").hidden = !can.reference;
  $("picker").accept = [$("picker").dataset.types, ...can.reads.map((suffix) => `.${suffix}`)].join(",");
  for (const each of document.querySelectorAll("[data-sample]")) each.closest("li").hidden = !can.tasks.includes(each.dataset.task);
}

$("away-again").addEventListener("click", meet);
engine.onTokenNeeded((wrong) => new Promise((resolve) => {
  const dialog = $("ask");
  $("token").value = "";
  $("token-wrong").hidden = !wrong;
  dialog.returnValue = "";
  dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok" ? $("token").value : ""), { once: true });
  dialog.showModal();
}));
await meet();

// The page: choosing photos, restoring them, and showing the results.

import * as engine from "./engine.js";
import { Viewer } from "./viewer.js";
import { Picture, Work } from "./work.js";
import { bytes, duration, pixels, refusal } from "./words.js";

const $ = (id) => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const form = $("panel");
const pictures = [];
let current = null;
let announced = "";

const viewer = new Viewer($("viewer"), { onZoom: (text) => { $("level").textContent = text; } });
const work = new Work((finished) => { render(); if (finished) onFinished(finished); });

// Adding and removing photos

function add(files, task) {
  const list = [...files].map((file) => new Picture(file));
  if (!list.length) return;
  if (task) form.elements.task.value = task;
  pictures.push(...list);
  select(list[0]);
  scrollTo({ top: 0, behavior: calm.matches ? "auto" : "smooth" });
}

async function addSample(button) {
  const name = button.dataset.sample;
  const response = await fetch(`/page/${name}`);
  const blob = await response.blob();
  add([new File([blob], name, { type: blob.type })], button.dataset.task);
  start();
}

function remove(picture) {
  const at = pictures.indexOf(picture);
  pictures.splice(at, 1);
  work.remove(picture);
  if (picture === current) select(pictures[Math.min(at, pictures.length - 1)] ?? null);
  else render();
}

for (const each of document.querySelectorAll("[data-choose]")) each.addEventListener("click", () => $("picker").click());
document.querySelector("[data-camera]").addEventListener("click", () => $("camera").click());
for (const input of [$("picker"), $("camera")]) {
  input.addEventListener("change", () => { add(input.files); input.value = ""; });
}
for (const each of document.querySelectorAll("[data-sample]")) each.addEventListener("click", () => addSample(each));

let over = 0;
const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
addEventListener("dragenter", (event) => { if (hasFiles(event)) { over += 1; document.body.classList.add("dropping"); } });
addEventListener("dragleave", () => { over = Math.max(over - 1, 0); if (!over) document.body.classList.remove("dropping"); });
addEventListener("dragover", (event) => { if (hasFiles(event)) event.preventDefault(); });
addEventListener("drop", (event) => {
  over = 0;
  document.body.classList.remove("dropping");
  if (hasFiles(event)) { event.preventDefault(); add(event.dataTransfer.files); }
});
addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
  if (files.length) { event.preventDefault(); add(files); }
});

// Restoring

function query() {
  const values = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (name === "strength") values.set(name, Number(value) / 100);
    else if (value !== "" && !(name === "format" && value === "same")) values.set(name, value);
  }
  if (values.get("weights")) values.delete("task");
  return values.toString();
}

function open() { return pictures.filter((each) => each.state === "ready"); }

function start() {
  if (!form.reportValidity()) return;
  const list = open();
  for (const each of list.length ? list : [current]) if (each && !each.busy) work.add(each, query());
}

form.addEventListener("submit", (event) => { event.preventDefault(); start(); });
form.addEventListener("input", () => { $("strength-value").textContent = `${$("strength").value}%`; render(); });
$("cancel").addEventListener("click", () => { work.cancelAll(); say("Cancelled."); });
$("again").addEventListener("click", () => current && work.add(current, query()));
$("drop-it").addEventListener("click", () => current && remove(current));
$("download-all").addEventListener("click", async () => {
  for (const each of pictures.filter((picture) => picture.restored)) {
    const link = Object.assign(document.createElement("a"), { href: each.restored.url, download: each.target });
    link.click();
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
});
addEventListener("pagehide", () => { work.active?.abort.abort(); for (const each of pictures) each.answer?.close(); });

// Display

async function select(picture) {
  current = picture;
  document.body.dataset.view = picture ? "work" : "empty";
  render();
  if (picture) {
    viewer.clear();
    await show(picture);
  }
}

async function show(picture) {
  try {
    await viewer.show(picture.before, picture.restored?.shown, picture.name);
  } catch {
    try {
      await makeVisible(picture);
      if (picture === current) await viewer.show(picture.before, picture.restored?.shown, picture.name);
    } catch (problem) {
      if (picture === current) viewer.clear();
      Object.assign(picture, { state: "failed", problem: problem?.type ? problem : { type: "urn:uformer:not-a-picture", detail: "" } });
    }
  }
  render();
}

// The server converts formats that this browser cannot show to PNG.
async function makeVisible(picture) {
  if (picture.before === picture.url && !(await decodes(picture.url))) picture.before = URL.createObjectURL(await engine.preview(picture.file));
  const restored = picture.restored;
  if (restored && !(await decodes(restored.shown))) restored.shown = URL.createObjectURL(await engine.preview(restored.blob));
}

async function decodes(url) {
  const image = new Image();
  image.src = url;
  return image.decode().then(() => true, () => false);
}

async function onFinished(picture) {
  if (picture.state === "done") say(`${picture.name} is restored.`);
  if (picture.state === "failed") say(`${picture.name}: ${refusal(picture.problem).title}.`);
  if (picture !== current) return;
  if (picture.restored) {
    await show(picture);
    if (!calm.matches) sweep();
  }
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

function say(text) { if (text !== announced) { announced = text; $("status").textContent = text; } }

function render() {
  const picture = current;
  $("welcome").hidden = Boolean(picture);
  $("viewer").hidden = $("strip").hidden = !picture;
  renderStrip();
  renderProgress();
  if (!picture) return;
  $("file").hidden = false;
  $("file-name").textContent = picture.name;
  $("file-facts").textContent = facts(picture);
  const notice = picture.state === "failed";
  $("notice").hidden = !notice;
  $("zoom").hidden = notice;
  if (notice) {
    const words = refusal(picture.problem);
    $("notice-title").textContent = words.title;
    $("notice-text").textContent = words.text;
    $("again").hidden = words.final;
    $("drop-it").className = words.final ? "primary" : "quiet";
  }
  $("viewer").classList.toggle("busy", picture.busy || notice);
  const ready = open().length;
  const working = Boolean(work.active);
  const changed = picture.restored && picture.query !== query();
  $("go").hidden = working || (!ready && !changed);
  $("go").disabled = false;
  $("go").textContent = ready > 1 ? `Restore ${ready} photos` : ready ? "Restore" : "Restore again";
  $("go").className = picture.restored ? "quiet wide" : "primary wide";
  $("cancel").hidden = !working;
  $("download").hidden = !picture.restored;
  if (picture.restored) Object.assign($("download"), { href: picture.restored.url, download: picture.target, textContent: `Download · ${bytes(picture.restored.blob.size)}` });
  $("download-all").hidden = working || pictures.filter((each) => each.restored).length < 2;
}

function facts(picture) {
  const about = picture.answer?.facts;
  const { width, height } = about ?? viewer;
  const parts = picture === current && width ? [`${width} × ${height}`] : [];
  if (about) parts.push(`${about.format}, ${about.depth}-bit`);
  parts.push(bytes(picture.file.size));
  if (picture.restored) parts.push(`restored in ${duration(picture.restored.seconds)}`);
  return [...parts, ...(about?.notes ?? [])].join(" · ");
}

function renderProgress() {
  const picture = work.active;
  $("progress").hidden = !picture;
  if (!picture) return;
  const { state, progress } = picture;
  const several = work.line.length || picture !== current ? `${picture.name}: ` : "";
  const share = progress.share ?? null;
  let words = "Preparing";
  let eta = progress.seconds ? `${duration(progress.seconds)} left` : "";
  if (state === "uploading") words = "Uploading";
  else if (state === "busy") { words = "The server is busy"; eta = `retrying in ${progress.seconds} s`; }
  else if (state === "waiting") words = progress.ahead ? `Waiting, ${progress.ahead} ahead of this one` : "Waiting";
  else if (progress.tiles) words = `${progress.done} of ${progress.tiles} ${progress.tiles === 1 ? "tile" : "tiles"}`;
  $("progress-words").textContent = several + words;
  $("progress-eta").textContent = eta || (work.line.length ? `${work.line.length} more` : "");
  $("bar").classList.toggle("unknown", share === null);
  $("bar").firstElementChild.style.transform = share === null ? "" : `scaleX(${share})`;
  if (share === null) $("bar").removeAttribute("aria-valuenow"); else $("bar").setAttribute("aria-valuenow", Math.round(100 * share));
  if (progress.tiles) {
    const quarter = Math.floor((4 * progress.done) / progress.tiles) * 25;
    if (quarter && quarter < 100) say(`${picture.name}: ${quarter}%`);
  } else if (state === "waiting" || state === "busy") say(`${picture.name}: ${words}`);
}

const BADGES = { done: "✓", failed: "!" };
const STATES = { ready: "not restored yet", waiting: "waiting", uploading: "uploading", busy: "waiting", preparing: "preparing", loading: "loading", running: "restoring", done: "restored", failed: "failed" };

function renderStrip() {
  const list = $("items");
  const old = new Map([...list.children].map((item) => [Number(item.dataset.key), item]));
  for (const [key, item] of old) if (!pictures.some((each) => each.key === key)) item.remove();
  for (const picture of pictures) {
    const item = old.get(picture.key) ?? list.appendChild(makeThumb(picture));
    const thumb = item.querySelector(".thumb");
    thumb.setAttribute("aria-current", String(picture === current));
    thumb.setAttribute("aria-label", `${picture.name}, ${STATES[picture.state]}`);
    const image = thumb.querySelector("img");
    const source = picture.restored?.shown ?? picture.before;
    if (image.getAttribute("src") !== source) image.src = source;
    const badge = thumb.querySelector(".badge");
    badge.dataset.state = picture.state;
    badge.textContent = picture.busy ? (picture.state === "running" ? `${Math.round(100 * picture.progress.share)}%` : "…") : BADGES[picture.state] ?? "";
  }
}

function makeThumb(picture) {
  const item = document.createElement("li");
  item.dataset.key = picture.key;
  const thumb = Object.assign(document.createElement("button"), { type: "button", className: "thumb" });
  const image = Object.assign(document.createElement("img"), { alt: "" });
  image.addEventListener("error", () => { image.hidden = true; });
  image.addEventListener("load", () => { image.hidden = false; });
  thumb.append(image, Object.assign(document.createElement("span"), { className: "badge" }));
  thumb.addEventListener("click", () => select(picture));
  const cross = Object.assign(document.createElement("button"), { type: "button", className: "remove", textContent: "×" });
  cross.setAttribute("aria-label", `Remove ${picture.name}`);
  cross.addEventListener("click", () => remove(picture));
  item.append(thumb, cross);
  return item;
}

// Zoom, theme and token

document.querySelector(".zoom").addEventListener("click", (event) => {
  const what = event.target.closest("button")?.dataset.zoom;
  if (what === "in") viewer.zoomBy(1.5);
  if (what === "out") viewer.zoomBy(1 / 1.5);
  if (what === "toggle") viewer.toggle();
});

const root = document.documentElement;
$("theme").setAttribute("aria-pressed", String(root.dataset.theme === "dark"));
$("theme").addEventListener("click", () => {
  root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
  $("theme").setAttribute("aria-pressed", String(root.dataset.theme === "dark"));
});

engine.onTokenNeeded(() => new Promise((resolve) => {
  const dialog = $("ask");
  $("token").value = "";
  dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok" ? $("token").value : ""), { once: true });
  dialog.showModal();
}));

const can = await engine.describe().catch(() => null);
$("ensemble-label").hidden = !can?.options.includes("ensemble");
if (can) {
  work.limits = can.limits;
  if (can.limits) $("limits").textContent = `, up to ${bytes(can.limits.bytes)} and ${pixels(can.limits.pixels)}`;
  $("weights-label").hidden = !can.weights.length;
  for (const each of can.weights) $("weights").append(new Option(each.name, each.name, false, each.default));
}

// The thumbnails of all photos.

const BADGES = { done: "✓", failed: "!", changed: "↻" };
const STATES = {
  ready: "not restored yet", waiting: "waiting", uploading: "uploading", busy: "waiting", preparing: "preparing",
  loading: "loading", running: "restoring", done: "restored", changed: "settings changed since it was restored", failed: "failed",
};

export function renderStrip(list, photos, current, { onSelect, onRemove }) {
  const old = new Map([...list.children].map((item) => [Number(item.dataset.key), item]));
  for (const [key, item] of old) if (!photos.some((each) => each.key === key)) item.remove();
  for (const photo of photos) {
    const item = old.get(photo.key) ?? list.appendChild(made(photo, onSelect, onRemove));
    const thumb = item.querySelector(".thumb");
    const state = photo.state === "done" && photo.needsRun ? "changed" : photo.state;
    const isCurrent = String(photo === current);
    if (isCurrent === "true" && thumb.getAttribute("aria-current") !== "true") thumb.scrollIntoView({ block: "nearest", inline: "nearest" });
    thumb.setAttribute("aria-current", isCurrent);
    thumb.setAttribute("aria-label", `${photo.name}, ${STATES[state]}`);
    thumb.title = photo.folder + photo.name;
    const image = thumb.querySelector("img");
    const source = photo.result?.shown ?? photo.before;
    if (image.getAttribute("src") !== source) image.src = source;
    const badge = thumb.querySelector(".badge");
    badge.dataset.state = state;
    badge.textContent = photo.busy ? (state === "running" ? `${Math.round(100 * photo.progress.share)}%` : "…") : BADGES[state] ?? "";
  }
}

function made(photo, onSelect, onRemove) {
  const item = document.createElement("li");
  item.dataset.key = photo.key;
  const thumb = Object.assign(document.createElement("button"), { type: "button", className: "thumb" });
  const image = Object.assign(document.createElement("img"), { alt: "", decoding: "async" });
  const kind = Object.assign(document.createElement("span"), { className: "kind", textContent: photo.suffix.slice(0, 5) || "?" });
  kind.hidden = true; // stands in for a file that cannot be shown
  image.addEventListener("error", () => { image.hidden = true; kind.hidden = false; });
  image.addEventListener("load", () => { image.hidden = false; kind.hidden = true; });
  thumb.append(image, kind, Object.assign(document.createElement("span"), { className: "badge" }));
  thumb.addEventListener("click", () => onSelect(photo));
  const cross = Object.assign(document.createElement("button"), { type: "button", className: "remove", textContent: "×" });
  cross.setAttribute("aria-label", `Remove ${photo.name}`);
  cross.addEventListener("click", () => onRemove(photo));
  item.append(thumb, cross);
  return item;
}

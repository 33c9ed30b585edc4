// Saving files: one, or all as a ZIP archive; and the question before something unsaved is lost.

import { zip } from "./zip.js";

function unsaved(photos) { return photos.some((photo) => photo.busy || photo.rendering || (photo.result && !photo.result.saved && !photo.sample)); }

// Asks before the page is left while something is unsaved. The browser chooses the words.
export function guardLeaving(photos) {
  addEventListener("beforeunload", (event) => { if (unsaved(photos)) event.preventDefault(); });
}

function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// Saves the files of all restored photos, after making those anew whose controls have changed. Returns the
// photos that have to be restored again first; then nothing is saved.
export async function saveAll(photos, work, onProgress) {
  const restored = photos.filter((photo) => photo.result);
  for (const [at, photo] of restored.entries()) {
    onProgress(`Preparing ${at + 1} of ${restored.length}`);
    await work.refresh(photo);
  }
  const open = restored.filter((photo) => !photo.current);
  if (open.length) return open;
  onProgress("Packing");
  const archive = await zip(restored.map((photo) => ({ name: photo.folder + photo.target, blob: photo.result.blob })));
  save(archive, "restored.zip");
  for (const photo of restored) photo.result.saved = true;
  return [];
}

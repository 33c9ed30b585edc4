// Where photos come from: the file picker, a camera, the clipboard, dropped files and dropped folders.

import { FORMATS } from "./settings.js";

const MOST = 500; // photos of one drop

export const NAMES = { ...FORMATS, gif: "GIF", heic: "HEIC", dng: "camera raw" };

// Calls `add([{file, folder}])` for photos that arrive. `reads()` returns the suffixes that can be read.
export function takePhotos({ picker, camera, add, reads, say }) {
  for (const each of document.querySelectorAll("[data-choose]")) each.addEventListener("click", () => picker.click());
  document.querySelector("[data-camera]").addEventListener("click", () => camera.click());
  for (const input of [picker, camera]) {
    input.addEventListener("change", () => { add([...input.files].map((file) => ({ file }))); input.value = ""; });
  }
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
    if (files.length) { event.preventDefault(); add(files.map((file) => ({ file }))); }
  });

  let over = 0;
  const leave = () => { over = 0; document.body.classList.remove("dropping"); };
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  addEventListener("dragenter", (event) => { if (hasFiles(event)) { over += 1; document.body.classList.add("dropping"); } });
  addEventListener("dragleave", () => { over = Math.max(over - 1, 0); if (!over) leave(); });
  addEventListener("dragover", (event) => { if (hasFiles(event)) event.preventDefault(); });
  addEventListener("drop", async (event) => {
    leave();
    if (!hasFiles(event)) return;
    event.preventDefault();
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    if (!entries.some((entry) => entry.isDirectory)) { add([...event.dataTransfer.files].map((file) => ({ file }))); return; }
    const { found, skipped } = await inFolders(entries, reads());
    add(found);
    if (!found.length) say("No photo was found in the folder.", true);
    else if (skipped) say(`${skipped} other ${skipped === 1 ? "file in the folder was" : "files in the folder were"} left out.`, true);
  });
}

// Returns the photos in dropped folders, in the order of their names, and the number of other files.
async function inFolders(entries, suffixes) {
  const found = [];
  let skipped = 0;
  async function visit(entry, folder) {
    if (entry.isDirectory) {
      const inside = await contents(entry);
      inside.sort((one, other) => one.name.localeCompare(other.name, "en", { numeric: true }));
      for (const each of inside) await visit(each, `${folder}${entry.name}/`);
    } else if (!entry.name.startsWith(".") && suffixes.includes(entry.name.split(".").pop().toLowerCase()) && found.length < MOST) {
      found.push({ file: await new Promise((resolve, reject) => { entry.file(resolve, reject); }), folder });
    } else skipped += 1;
  }
  for (const entry of entries) await visit(entry, "").catch(() => { skipped += 1; });
  return { found, skipped };
}

async function contents(folder) {
  const reader = folder.createReader();
  const all = [];
  for (;;) { // a reader returns at most 100 entries at a time
    const some = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
    if (!some.length) return all;
    all.push(...some);
  }
}

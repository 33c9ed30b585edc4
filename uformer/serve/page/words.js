// What is said to people: sizes, times, and a plain sentence for every refusal.

export function bytes(count) {
  const units = ["bytes", "kB", "MB", "GB"];
  let unit = 0;
  while (count >= 1000 && unit < 3) { count /= 1000; unit += 1; }
  return `${count < 10 && unit ? count.toFixed(1) : Math.round(count)} ${units[unit]}`;
}

export function pixels(count) {
  return count >= 1e6 ? `${(count / 1e6).toFixed(count < 1e7 ? 1 : 0)} megapixels` : `${count.toLocaleString("en")} pixels`;
}

export function duration(seconds) {
  if (seconds < 1.5) return "a moment";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

const TITLES = {
  "not-a-picture": "This is not a picture that can be read",
  "too-many-bytes": "This file is too large",
  "too-many-pixels": "This picture is too large",
  "media-type": "This kind of file is not taken",
  "options": "These options do not go together",
  "not-restored": "This picture could not be restored",
  "not-acceptable": "This format cannot be given",
  "queue-full": "The server is busy",
  "results-full": "The server is busy",
  "not-ready": "The server is not ready",
  "out-of-memory": "The server has too little memory for this picture",
  "too-slow": "This took too long",
  "token": "The token is not the right one",
  "no-such-job": "The server has forgotten this picture",
  "internal": "Something broke on the server",
};

const HELP = {
  "not-a-picture": "PNG, JPEG, WebP, TIFF and AVIF work. HEIC and camera raw files have to be saved as one of these first.",
  "too-many-bytes": "Save it smaller, or ask whoever runs this server to raise its limit.",
  "too-many-pixels": "Crop it or make it smaller first, or ask whoever runs this server to raise its limit.",
  "media-type": "PNG, JPEG, WebP, TIFF and AVIF work.",
  "queue-full": "Others came first. Try again in a little while.",
  "results-full": "Many pictures wait to be fetched. Try again in a little while.",
  "out-of-memory": "Try again later, or with a smaller tile under More options.",
  "too-slow": "A smaller picture may do.",
  "no-such-job": "It was restarted, or the picture waited for too long. Try again.",
  "internal": "That is not the picture’s fault. The server’s log says more.",
};

const FINAL = new Set(["not-a-picture", "too-many-bytes", "too-many-pixels", "media-type"]); // trying again would not help

export function refusal(problem) {
  const kind = (problem?.type ?? "").replace("urn:uformer:", "");
  if (kind === "unreachable") return { title: "The server cannot be reached", text: "Is it still running? Your picture is still here; try again once it is back." };
  const detail = (problem?.detail ?? "").replace(/^picture: /, "").replace(/\.?$/, ".");
  const known = detail === "." || detail.startsWith("not a PNG"); // the title says it already
  const text = [known ? "" : detail[0].toUpperCase() + detail.slice(1), HELP[kind]].filter(Boolean).join(" ");
  return { title: TITLES[kind] ?? "The server refused", text, final: FINAL.has(kind) };
}

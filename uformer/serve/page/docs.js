// Renders /openapi.json as a readable page.

const root = document.getElementById("api");
const server = new URL("..", import.meta.url); // it may be below a path of another site

function make(tag, text = "", className = "") {
  return Object.assign(document.createElement(tag), { textContent: text, className });
}

// Turns `code` in a sentence into code elements.
function prose(tag, text) {
  const element = make(tag);
  for (const [at, part] of text.split("`").entries()) element.append(at % 2 ? make("code", part) : part);
  return element;
}

function table(rows) {
  const wrap = make("div", "", "table");
  const body = wrap.appendChild(make("table"));
  for (const cells of rows) {
    const row = body.appendChild(make("tr"));
    for (const [at, text] of cells.entries()) row.appendChild(make("td")).append(at ? text : make("code", text));
  }
  return wrap;
}

function kind(schema = {}) {
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.anyOf) return schema.anyOf.filter((each) => each.type !== "null").map(kind).join(" | ");
  const bounds = [schema.minimum !== undefined && `from ${schema.minimum}`, schema.maximum !== undefined && `to ${schema.maximum}`].filter(Boolean);
  return [schema.type, ...bounds].join(" ");
}

function folded(title, rows) {
  const details = make("details");
  details.append(make("summary", title), table(rows));
  return details;
}

function operation(path, method, about) {
  const article = make("article");
  const heading = article.appendChild(make("h3"));
  heading.append(make("code", method.toUpperCase(), "method"), make("code", path), make("span", about.summary ?? ""));
  if (about.description) article.append(prose("p", about.description));
  if (about.requestBody) {
    const types = Object.keys(about.requestBody.content);
    article.append(make("p", `Accepts ${types.join(", ")}. A form holds the file in the field “picture”.`));
    article.append(make("pre", `curl -H 'Content-Type: image/jpeg' --data-binary @photo.jpg -o response '${new URL(path.slice(1), server)}?task=denoise'`));
  }
  const given = (about.parameters ?? []).map((each) => [each.name, kind(each.schema), each.description ?? ""]);
  if (given.length) article.append(folded("Parameters", given));
  article.append(folded("Responses", Object.entries(about.responses).map(([status, each]) => [status, each.description])));
  return article;
}

const described = await (await fetch(new URL("openapi.json", server))).json();
root.append(make("h1", "API reference"));
for (const part of described.info.description.split("\n\n")) root.append(prose("p", part));
const groups = new Map();
for (const [path, methods] of Object.entries(described.paths)) {
  for (const [method, about] of Object.entries(methods)) {
    const tag = about.tags?.[0] ?? "";
    if (!groups.has(tag)) groups.set(tag, root.appendChild(make("section"))).get(tag).append(make("h2", tag));
    groups.get(tag).append(operation(path, method, about));
  }
}

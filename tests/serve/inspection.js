// Returns what a designer would reject in what the page shows; see inspection.py.
(() => {
  const found = [];
  const name = (each) => `<${each.tagName.toLowerCase()}${each.id && `#${each.id}`}${each.className?.trim?.() && `.${each.className.trim().replace(/\s+/g, ".")}`}>`;
  const seen = (each) => each.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && each.getClientRects().length > 0;
  const ancestors = (each) => { const all = []; for (; each; each = each.parentElement) all.push(each); return all; };
  const { scrollWidth, clientWidth } = document.documentElement; // innerWidth grows with the page on a phone
  if (scrollWidth > clientWidth) found.push(`the page is ${scrollWidth} wide, the window ${clientWidth}`);
  for (const each of document.querySelectorAll("main, main *")) {
    if (each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).overflowX === "auto" && !each.matches(".strip ul, .api *")) found.push(`wider than its place: what is in ${name(each)}`);
  }

  // Text: cut off, or fainter than 4.5:1
  const channels = (colour) => { const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number); return { rgb: [r, g, b], a }; };
  const over = ({ rgb, a }, below) => rgb.map((value, at) => a * value + (1 - a) * below[at]);
  const luminance = (rgb) => rgb.map((value) => value / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
  // Returns the colours that may lie behind the content of an element: two if a photo does.
  const behind = (each) => {
    if (!each) return [[255, 255, 255]];
    const style = getComputedStyle(each);
    const photo = each.matches(".viewer, .samples button, .thumb:has(img:not([hidden]))");
    const below = photo ? [[0, 0, 0], [255, 255, 255]] : behind(each.parentElement);
    const opacity = Number(style.opacity);
    return below.map((rgb) => { const colour = channels(style.backgroundColor); return over({ ...colour, a: photo ? 0 : colour.a * opacity }, rgb); });
  };
  // Returns the least contrast of a colour of an element with what lies behind it.
  const contrast = (each, colour, papers = behind(each)) => {
    const ink = channels(colour);
    ink.a *= ancestors(each).reduce((product, parent) => product * Number(getComputedStyle(parent).opacity), 1);
    return Math.min(...papers.map((paper) => {
      const [light, dark] = [luminance(over(ink, paper)), luminance(paper)].sort((one, other) => other - one);
      return (light + 0.05) / (dark + 0.05);
    }));
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const held = new Set();
  while (walker.nextNode()) {
    const each = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || held.has(each) || !seen(each) || each.closest(".hidden, .skip, script, noscript, option, [aria-hidden]")) continue;
    held.add(each);
    const range = document.createRange();
    range.selectNodeContents(each);
    const box = range.getBoundingClientRect();
    const said = `"${each.textContent.trim().slice(0, 40)}" ${name(each)}`;
    let whole = false; // whether it can be read by scrolling or as a tooltip
    for (const parent of ancestors(each)) {
      const { overflowX, overflowY, textOverflow } = getComputedStyle(parent);
      const outer = parent.getBoundingClientRect();
      whole = overflowX === "auto" || overflowY === "auto" || (textOverflow === "ellipsis" && Boolean(parent.title));
      if (whole) break;
      if (overflowX === "visible") continue;
      if (box.left < outer.left - 1 || box.right > outer.right + 1 || box.top < outer.top - 2 || box.bottom > outer.bottom + 2) found.push(`cut: ${said} by ${name(parent)}`);
    }
    if (!whole && (box.left < -1 || box.right > clientWidth + 1)) found.push(`beyond the window: ${said}`);
    const ratio = each.closest(":disabled") || each.closest(".samples button") ? 21 : contrast(each, getComputedStyle(each).color);
    if (ratio < 4.5) found.push(`contrast ${ratio.toFixed(2)}: ${said}`);
  }

  for (const each of document.querySelectorAll("[placeholder]")) {
    if (seen(each) && contrast(each, getComputedStyle(each, "::placeholder").color) < 4.5) found.push(`contrast of the placeholder: ${name(each)}`);
  }
  for (const each of document.querySelectorAll("select, input:not([type=range], [type=radio], [type=checkbox], [type=file])")) { // WCAG 1.4.11
    const ratio = contrast(each, getComputedStyle(each).borderTopColor, behind(each.parentElement));
    if (seen(each) && !each.disabled && ratio < 3) found.push(`contrast ${ratio.toFixed(2)} of the border: ${name(each)}`);
  }

  // Controls: covered, smaller than 24 pixels, or without a name
  const scrolled = [document.documentElement, ...document.querySelectorAll(".panel, .notice, .strip ul")].map((each) => [each, each.scrollTop, each.scrollLeft]);
  for (const each of document.querySelectorAll("button, a[href], input, select, summary, [tabindex='0']")) {
    const target = each.matches("[type=radio]") ? each.labels[0] : each;
    if (!target.checkVisibility({ visibilityProperty: true }) || each.matches(".skip, .viewer, [type=file]")) continue;
    if (document.querySelector("dialog[open]") && !each.closest("dialog")) continue;
    target.scrollIntoView({ block: "nearest", inline: "nearest" });
    const box = target.getBoundingClientRect();
    const top = document.elementFromPoint(box.x + box.width / 2, Math.min(box.y + box.height / 2, innerHeight - 1));
    if (!each.disabled && !(top && (target.contains(top) || top.contains(target) && top.matches("label")))) found.push(`covered: ${name(each)} by ${top ? name(top) : "the edge"}`);
    if (!each.matches("[type=checkbox], .brand") && Math.min(box.width, box.height) < 24) found.push(`small: ${name(each)}, ${Math.round(box.width)} x ${Math.round(box.height)}`);
    if (!(each.getAttribute("aria-label") || each.textContent.trim() || each.labels?.length)) found.push(`nameless: ${name(each)}`);
  }
  for (const [each, top, left] of scrolled) Object.assign(each, { scrollTop: top, scrollLeft: left });
  return found;
})()

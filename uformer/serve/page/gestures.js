// Mouse, touch and keyboard of the viewer.

export function listen(viewer) {
  const { root, divider } = viewer;
  const pointers = new Map();
  const place = (event) => {
    const box = root.getBoundingClientRect();
    const x = event.clientX - box.left;
    return [viewer.both && x >= viewer.second ? x - viewer.second : x, event.clientY - box.top];
  };
  const ours = (event) => !event.target.closest("button, .notice, .tools");

  root.addEventListener("pointerdown", (event) => {
    if (!ours(event) || event.button > 1) return;
    const [x, y] = place(event);
    if (pointers.size) release(); // a second finger zooms
    const paints = Boolean(viewer.brush) && !pointers.size && !event.button;
    pointers.set(event.pointerId, { x, y, paints, divides: Boolean(event.target.closest(".divider")) });
    if (paints) viewer.brush.begin(x, y);
    root.setPointerCapture(event.pointerId);
    root.classList.add("dragging");
    (event.target.closest(".divider") ?? root).focus({ preventScroll: true });
    event.preventDefault();
  });
  root.addEventListener("pointermove", (event) => {
    const last = pointers.get(event.pointerId);
    if (!last && event.pointerType !== "touch") viewer.brush?.move(...place(event));
    if (!last) return;
    const [x, y] = place(event);
    if (last.paints) {
      const steps = event.getCoalescedEvents?.() ?? []; // the last of them is this event
      for (const each of steps.length ? steps : [event]) viewer.brush?.move(...place(each));
    } else if (last.divides) {
      const [left, right] = viewer.span;
      viewer.setShare((x - left) / Math.max(right - left, 1));
    } else if (pointers.size === 2) {
      const other = [...pointers.entries()].find(([id]) => id !== event.pointerId)[1];
      const was = Math.hypot(last.x - other.x, last.y - other.y);
      const is = Math.hypot(x - other.x, y - other.y);
      viewer.zoomBy(is / Math.max(was, 1), (x + other.x) / 2, (y + other.y) / 2);
      viewer.pan((x - last.x) / 2, (y - last.y) / 2);
    } else {
      viewer.pan(x - last.x, y - last.y);
    }
    Object.assign(last, { x, y });
  });
  const release = () => {
    viewer.brush?.interrupt();
    for (const each of pointers.values()) each.paints = false;
  };
  const end = (event) => {
    if (pointers.get(event.pointerId)?.paints) viewer.brush?.end();
    pointers.delete(event.pointerId);
    if (!pointers.size) root.classList.remove("dragging");
  };
  root.addEventListener("pointerup", end);
  root.addEventListener("pointercancel", end);
  root.addEventListener("dblclick", (event) => ours(event) && !viewer.brush && viewer.toggle(...place(event)));
  root.addEventListener("wheel", (event) => {
    if (!viewer.width) return;
    event.preventDefault();
    viewer.zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0022)), ...place(event));
  }, { passive: false });

  divider.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 0.1 : 0.02;
    const to = { ArrowLeft: viewer.share - step, ArrowDown: viewer.share - step, ArrowRight: viewer.share + step,
      ArrowUp: viewer.share + step, PageDown: viewer.share - 0.1, PageUp: viewer.share + 0.1, Home: 0, End: 1 }[event.key];
    if (to === undefined) return;
    viewer.setShare(to);
    event.preventDefault();
    event.stopPropagation();
  });
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("button")) return;
    const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    if (viewer.brush && event.key.startsWith("Arrow")) return; // they move the brush
    const acts = {
      "+": () => viewer.zoomBy(1.25), "=": () => viewer.zoomBy(1.25), "-": () => viewer.zoomBy(0.8),
      "0": () => viewer.fit(), "1": () => viewer.zoomTo(viewer.unit()),
    };
    if (moves[event.key]) viewer.pan(...moves[event.key]);
    else if (acts[event.key]) acts[event.key]();
    else return;
    event.preventDefault();
  });
}

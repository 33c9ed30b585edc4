// Keeps the place of the keyboard: when the control that has the focus disappears, another one gets it.

const NEXT = {
  "go": ["#bar"], "again": ["#bar"], "bar": ["#download", "#go"], "cancel": ["#download", "#go"], "neutral": ["#strength"],
  "brush-undo": ["#brush-invert"], "brush-clear": ["#brush-invert"],
};
const ELSEWHERE = ["[aria-current=true]", "[data-choose]"]; // the photo that is shown; the button to choose photos

function usable(each) {
  return each.isConnected && !each.disabled && !each.matches("a:not([href])") && each.checkVisibility({ visibilityProperty: true });
}

// `last`: the element that had the focus before the page changed.
export function follow(last) {
  if (!last || last === document.body || usable(last)) return;
  const others = [...NEXT[last.id] ?? [], ...ELSEWHERE].flatMap((name) => [...document.querySelectorAll(name)]);
  others.find(usable)?.focus({ preventScroll: true });
}

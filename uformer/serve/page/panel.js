// The form with the settings of a photo.

import { DEFAULTS, FORMATS, isLossy, same } from "./settings.js";

const $ = (id) => document.getElementById(id);

export class Panel {
  // `onSettings(settings)` is called after each change by hand; `onScope(alone)` when they shall be for one photo.
  constructor(form, { onSettings, onScope }) {
    this.form = form;
    this.sliders = [...form.querySelectorAll("#adjust input")];
    form.addEventListener("input", (event) => {
      if (event.target.name === "scope") onScope(event.target.value === "one");
      else onSettings(this.read());
    });
    $("neutral").addEventListener("click", () => onSettings({ ...this.read(), controls: DEFAULTS.controls }));
    for (const slider of this.sliders) {
      slider.addEventListener("dblclick", () => {
        slider.value = 100 * DEFAULTS.controls[slider.name];
        slider.dispatchEvent(new Event("input", { bubbles: true }));
      });
    }
  }

  // Returns the settings of the form.
  read() {
    const given = new FormData(this.form);
    const values = (names) => Object.fromEntries(names.map((name) => [name, given.get(name) ?? ""]));
    return {
      run: values(Object.keys(DEFAULTS.run)),
      controls: Object.fromEntries(this.sliders.map((slider) => [slider.name, Number(slider.value) / 100])),
      output: values(Object.keys(DEFAULTS.output)),
    };
  }

  write({ run, controls, output }) {
    const { elements } = this.form;
    for (const [name, value] of Object.entries({ ...run, ...output })) {
      if (name === "ensemble") elements[name].checked = Boolean(value);
      else elements[name].value = value;
    }
    for (const slider of this.sliders) slider.value = Math.round(100 * controls[slider.name]);
  }

  // Shows what fits a photo; `several`: whether there are others.
  show(photo, several) {
    const { settings, facts, result } = photo;
    $("scope").hidden = !several;
    this.form.elements.scope.value = photo.own ? "one" : "all";
    $("adjust").hidden = $("save").hidden = !result;
    this.label(settings.controls);
    $("neutral").disabled = same(settings.controls, DEFAULTS.controls);
    const writable = Object.values(FORMATS).includes(facts?.format);
    this.form.elements.format.options[0].textContent = writable ? `Original (${facts.format})` : "As the original";
    this.form.elements.quality.disabled = !isLossy(settings.output, facts);
  }

  label(controls) {
    for (const slider of this.sliders) {
      const percent = `${Math.round(100 * controls[slider.name])}%`;
      const output = slider.parentElement.querySelector("output");
      if (output.textContent !== percent) output.textContent = percent;
      slider.style.setProperty("--share", percent);
    }
  }

  // Offers what the engine can do.
  offer({ tasks, weights, options, writes, metadata }) {
    for (const input of this.form.querySelectorAll("[name=task]")) input.closest("label").hidden = !tasks.includes(input.value);
    for (const name of ["precision", "tile", "overlap", "ensemble"]) this.form.elements[name].closest("label").hidden = !options.includes(name);
    for (const option of [...this.form.elements.format.options]) if (option.value !== "same" && !writes.includes(option.value)) option.remove();
    for (const input of this.form.querySelectorAll("[name=metadata]")) input.closest("label").hidden = !metadata.includes(input.value);
    $("weights-label").hidden = !weights.length;
    for (const each of weights) $("weights").append(new Option(each.name, each.name));
    $("more").hidden = !options.length && !weights.length;
  }
}

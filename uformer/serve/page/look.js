// The button for light and dark colours. theme.js applies what was chosen.

const root = document.documentElement;
const button = document.getElementById("theme");
const show = () => button.setAttribute("aria-pressed", String(root.dataset.theme === "dark"));

button.addEventListener("click", () => {
  root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
  show();
});
show();

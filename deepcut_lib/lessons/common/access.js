// What ipywidgets and ipympl leave out for readers without a pointer or a screen.

const PLAYER = { "fa-play": "play", "fa-pause": "pause", "fa-stop": "stop", "fa-retweet": "repeat" };

function name(element, words) {
  if (words && element.getAttribute("aria-label") !== words) element.setAttribute("aria-label", words);
}

function render({ model, el }) {
  el.hidden = true;
  let explorer = null;

  // The figure takes all keys for itself, so that nobody who came to it by Tab could leave.
  function leave(event) {
    if (event.key === "Tab" && event.target.closest(".jupyter-matplotlib")) event.stopImmediatePropagation();
  }

  function label() {
    for (const handle of explorer.querySelectorAll(".noUi-handle")) {
      name(handle, handle.closest(".jupyter-widgets")?.querySelector("label")?.textContent);
    }
    for (const icon of explorer.querySelectorAll("button i")) {
      name(icon.parentElement, PLAYER[[...icon.classList].find((kind) => kind in PLAYER)]);
    }
    for (const canvas of explorer.querySelectorAll(".jupyter-matplotlib [tabindex]:not(button)")) {
      canvas.setAttribute("role", "group");
      name(canvas, `figure: ${model.get("words")}`);
    }
    for (const pinned of explorer.querySelectorAll("img.widget-image")) {
      pinned.alt = pinned.previousElementSibling?.textContent ?? "pinned";
    }
  }

  const watch = new MutationObserver(label);
  const found = setInterval(() => {
    explorer = el.parentElement?.closest(".widget-vbox") ?? null;
    if (explorer === null) return;
    clearInterval(found);
    explorer.addEventListener("keydown", leave, true);
    watch.observe(explorer, { childList: true, subtree: true });
    label();
  }, 100);
  model.on("change:words", () => explorer && label());

  return () => {
    clearInterval(found);
    watch.disconnect();
    explorer?.removeEventListener("keydown", leave, true);
  };
}

export default { render };

// What scrolls can be scrolled by keys as well.
window.addEventListener("load", () => {
  for (const part of document.querySelectorAll("article pre, article table, article div.math, .cell_output .output")) {
    if (part.scrollWidth > part.clientWidth + 1) part.tabIndex = 0;
  }
});

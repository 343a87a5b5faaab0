// What scrolls can be scrolled by keys as well; captions of the list of pages are headings of a level.
window.addEventListener("load", () => {
  const parts = "article pre, article table, article .table-wrapper, article div.math, .cell_output .output";
  for (const part of document.querySelectorAll(parts)) {
    if (part.scrollWidth > part.clientWidth + 1) part.tabIndex = 0;
  }
  for (const heading of document.querySelectorAll("p.caption[role=heading]")) heading.ariaLevel = 2;
});

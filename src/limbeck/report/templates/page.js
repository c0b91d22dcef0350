// Tables at once, charts and queries when they are needed or nothing else is to do.
const unfolded = [];
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details.part:not([open])")) { part.open = true; unfolded.push(part); }
});
addEventListener("afterprint", () => { for (const part of unfolded.splice(0)) part.open = false; });

drawTables(await unpack("packed-tables"));
const widths = new ResizeObserver(seen => {
  for (const {target} of seen) {
    const around = target.closest(".scroll");
    around.classList.toggle("wide", around.scrollWidth > around.clientWidth + 1);
  }
});
for (const table of document.querySelectorAll(".scroll table")) widths.observe(table);
document.documentElement.dataset.ready = Math.round(performance.now());
const charted = unpack("packed-charts").then(drawCharts);
const explorer = $("explorer-list");
if (explorer) {
  const near = new IntersectionObserver(seen => { if (seen.some(one => one.isIntersecting)) open(); }, {rootMargin: "800px"});
  let opened = false;
  const open = async () => {
    near.disconnect();
    if (opened) return;
    opened = true;
    startExplorer(await unpack("packed-queries"));
    explorer.dataset.ready = "yes";
  };
  near.observe(explorer.closest("section"));
  // Paper scrolls nowhere: what is printed before the explorer was reached must hold it too.
  charted.then(open);
}

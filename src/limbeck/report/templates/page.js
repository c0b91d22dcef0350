// Tables at once, charts and queries when they are needed.
const opened = [];
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details.part:not([open])")) { part.open = true; opened.push(part); }
});
addEventListener("afterprint", () => { for (const part of opened.splice(0)) part.open = false; });

drawTables(await unpack("packed-tables"));
document.documentElement.dataset.ready = Math.round(performance.now());
const explorer = $("explorer-list");
if (explorer) {
  const near = new IntersectionObserver(async seen => {
    if (!seen.some(one => one.isIntersecting)) return;
    near.disconnect();
    startExplorer(await unpack("packed-queries"));
    explorer.dataset.ready = "yes";
  }, {rootMargin: "800px"});
  near.observe(explorer.closest("section"));
}
drawCharts(await unpack("packed-charts"));

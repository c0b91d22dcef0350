// Charts are drawn when they come near the window, and the rest while nothing else happens, so that print finds them.
const LOOK = {
  background: "transparent", font: "system-ui, sans-serif",
  view: {stroke: null},
  text: {color: "currentColor"}, rule: {color: "currentColor"},
  axis: {labelColor: "currentColor", titleColor: "currentColor", domainColor: "currentColor", tickColor: "currentColor",
    gridColor: "currentColor", gridOpacity: 0.13, labelFontSize: 11, titleFontSize: 11, titleFontWeight: "normal", labelLimit: 220},
  header: {labelColor: "currentColor", labelFontSize: 12, labelFontWeight: "bold"},
  legend: {labelColor: "currentColor", titleColor: "currentColor", labelLimit: 260, symbolOpacity: 1, symbolBaseFillColor: "currentColor", symbolBaseStrokeColor: "currentColor", orient: "top", direction: "horizontal", columns: 6, titleFontWeight: "normal"},
};

async function drawChart(figure, specs) {
  if (figure.dataset.state) return;
  figure.dataset.state = "drawing";
  const place = figure.querySelector(".chart");
  const spec = {...specs[figure.dataset.chart], description: figure.querySelector("figcaption").textContent};
  if (spec.facet) {
    spec.columns = Math.max(1, Math.floor(place.clientWidth / 340));
    spec.spec = {...spec.spec, width: Math.floor(place.clientWidth / spec.columns) - 60};
  }
  await vegaEmbed(place, {$schema: "https://vega.github.io/schema/vega-lite/v6.json", ...spec}, {
    mode: "vega-lite", renderer: "svg", ast: true, config: LOOK, tooltip: {theme: "custom"},
    actions: {export: {svg: true, png: false}, source: false, compiled: false, editor: false},
  });
  figure.style.minHeight = "";
  figure.dataset.state = "drawn";
}

async function drawCharts(specs) {
  const figures = [...document.querySelectorAll("figure[data-chart]")];
  const near = new IntersectionObserver(seen => {
    for (const one of seen) if (one.isIntersecting) { near.unobserve(one.target); drawChart(one.target, specs); }
  }, {rootMargin: "400px"});
  figures.forEach(figure => near.observe(figure));
  const idle = window.requestIdleCallback ?? (later => setTimeout(later, 300));
  for (const figure of figures) {
    await new Promise(idle);
    await drawChart(figure, specs);
  }
}

// Any two systems side by side: queries by gain or loss, passages with grades and what moved.
const PAGE = 50;

function startExplorer(data) {
  const name = system => system.kind === "recipe" ? `${system.name} · ${system.backbone} · seed ${system.seed}` : `${system.name} · ${system.kind}`;
  const systems = data.systems.map((system, place) => [place, name(system)]);
  const state = {a: 0, b: systems.length - 1, collection: 0, order: "gain", text: "", shown: PAGE, query: null};
  const controls = $("explorer-choices"), list = $("explorer-list"), detail = $("explorer-detail");
  const change = query => query.values[state.b] - query.values[state.a];
  const ORDERS = {
    gain: ["largest gain first", (x, y) => change(y) - change(x)],
    loss: ["largest loss first", (x, y) => change(x) - change(y)],
    change: ["largest change first", (x, y) => Math.abs(change(y)) - Math.abs(change(x))],
    best: ["best of B first", (x, y) => y.values[state.b] - x.values[state.b]],
    worst: ["worst of B first", (x, y) => x.values[state.b] - y.values[state.b]],
  };
  const set = (key, read = Number) => value => { state[key] = read(value); state.shown = PAGE; state.query = null; draw(); };
  choice(controls, "A", systems, state.a, set("a"));
  choice(controls, "B", systems, state.b, set("b"));
  const collections = data.collections.map((each, place) => [place, each.name]);
  choice(controls, "On", collections, state.collection, set("collection"));
  choice(controls, "Order", Object.entries(ORDERS).map(([key, [label]]) => [key, label]), state.order, set("order", String));
  controls.append(element("label", {}, "Filter ", element("input", {type: "search", oninput: event => set("text", text => text.toLowerCase())(event.target.value)})));

  function draw() {
    const collection = data.collections[state.collection];
    const found = collection.queries
      .filter(query => !state.text || query.text.toLowerCase().includes(state.text) || query.id.toLowerCase().includes(state.text))
      .sort((x, y) => ORDERS[state.order][1](x, y) || (x.id < y.id ? -1 : 1));
    const better = found.filter(query => change(query) > 1e-9).length, worse = found.filter(query => change(query) < -1e-9).length;
    const which = collection.queries.length < collection.total
      ? `${collection.queries.length} of ${collection.total} queries, those on which systems differ most` : `all ${collection.total} queries`;
    $("explorer-summary").textContent = `${which}${state.text ? `; ${found.length} fit the filter` : ""}. B is better on ${better}, worse on ${worse}, equal on ${found.length - better - worse}.`;
    list.replaceChildren(...found.slice(0, state.shown).map(query => {
      const by = change(query);
      return element("li", {}, element("button", {type: "button", "data-query": query.id, onclick: () => choose(query)},
        element("span", {class: by > 1e-9 ? "up" : by < -1e-9 ? "down" : "soft"}, signed(by)), ` ${query.text}`));
    }));
    if (found.length > state.shown) list.append(element("li", {}, element("button", {type: "button", class: "more",
      onclick: () => { state.shown += PAGE; draw(); }}, `${found.length - state.shown} more`)));
    choose(state.query ?? found[0]);
  }

  function choose(query) {
    state.query = query;
    for (const button of list.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.dataset.query === query?.id));
    if (!query) { detail.replaceChildren(element("p", {class: "soft"}, "No query fits the filter.")); return; }
    detail.replaceChildren(
      element("h3", {}, query.text),
      element("p", {class: "soft small"}, `query ${query.id} · ${data.measure} ${number(query.values[state.a])} → ${number(query.values[state.b])} (${signed(change(query))})`),
      element("div", {class: "rankings"}, ranking(query, state.a, state.b, "A"), ranking(query, state.b, state.a, "B")));
  }

  function ranking(query, own, other, label) {
    const places = query.rankings[own], others = query.rankings[other];
    const items = places.map((place, rank) => {
      const passage = query.documents[place];
      const [sign, words, direction] = movement(rank + 1, others.indexOf(place) + 1, label === "A");
      const relevant = passage.grade >= 1;
      return element("li", {},
        element("span", {class: "rank"}, String(rank + 1)),
        element("span", {class: !relevant || !direction ? "soft" : direction > 0 ? "up" : "down", title: words},
          element("span", {"aria-hidden": "true"}, sign), element("span", {class: "hidden"}, words)),
        element("span", {class: `grade ${passage.grade == null ? "unjudged" : passage.grade >= 2 ? "g2" : passage.grade >= 1 ? "g1" : "g0"}`,
          title: passage.grade == null ? "unjudged" : `grade ${passage.grade}`}, passage.grade == null ? "?" : String(passage.grade)),
        element("details", {class: "passage"}, element("summary", {}, element("span", {class: "id"}, passage.id), ` ${passage.text || "(no text)"}`)));
    });
    return element("div", {}, element("h4", {}, `${label}: ${systems[own][1]} `, element("span", {class: "soft"}, `${data.measure} ${number(query.values[own])}`)),
      items.length ? element("ol", {}, ...items) : element("p", {class: "small soft"}, "No candidates."));
  }

  function movement(rank, other, before) {
    if (!other) return before ? ["↓out", `drops below rank ${data.shown}`, -1] : ["↑new", `up from below rank ${data.shown}`, 1];
    if (other === rank) return ["=", "stays", 0];
    const distance = before ? rank - other : other - rank, word = distance > 0 ? "up" : "down";
    return [`${distance > 0 ? "↑" : "↓"}${Math.abs(distance)}`, before ? `goes ${word} to rank ${other}` : `${word} from rank ${other}`, Math.sign(distance)];
  }

  list.addEventListener("keydown", event => {
    const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (!step) return;
    const buttons = [...list.querySelectorAll("button")];
    buttons[buttons.indexOf(document.activeElement) + step]?.focus();
    document.activeElement.click?.();
    event.preventDefault();
  });
  draw();
}

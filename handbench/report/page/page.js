"use strict";
// What the page does: charts, a hand to turn, rows by a word, sources where the pointer is.
(() => {
  const all = (what, where = document) => [...where.querySelectorAll(what)];
  const data = (place) => JSON.parse(place.querySelector("script[type='application/json']").textContent);
  const quiet = { displayModeBar: false, responsive: true };
  const [bones, meshes] = ["bones", "meshes"].map((id) => JSON.parse(document.getElementById(id).textContent));

  // charts
  for (const figure of all(".chart")) {
    const { data: traces, layout } = data(figure);
    Plotly.newPlot(figure.querySelector(".plot"), traces, {
      margin: { l: 56, r: 12, t: 8, b: 48 },
      showlegend: false,
      font: { family: "system-ui, sans-serif", size: 12 },
      paper_bgcolor: "#fff", plot_bgcolor: "#fff",
      ...layout,
    }, quiet);
  }

  // hands: a browser gives a page some sixteen 3D views, so that the oldest makes room
  const MOST = 8, open = [];
  const axis = (points, k) => points.map((point) => (point[k] === null ? null : point[k] / 10));
  const xyz = (points) => ({ x: axis(points, 0), y: axis(points, 1), z: axis(points, 2) });
  const skeleton = (points, name, color) => {
    const path = bones.flatMap(([a, b]) => [points[a], points[b], [null, null, null]]);
    return { type: "scatter3d", mode: "lines+markers", name, ...xyz(path), hoverinfo: "name",
             line: { color, width: 5 }, marker: { color, size: 2.5 } };
  };
  const surface = (points, name, color, faces) => {
    if (!faces)
      return { type: "scatter3d", mode: "markers", name, ...xyz(points), hoverinfo: "name", marker: { color, size: 1.2 } };
    const [i, j, k] = [0, 1, 2].map((corner) => faces.map((face) => face[corner]));
    return { type: "mesh3d", name, ...xyz(points), i, j, k, color, opacity: 0.35, hoverinfo: "name", showlegend: false };
  };
  const close = (sample) => {
    const turned = sample.querySelector(".turned");
    Plotly.purge(turned);
    turned.remove();
    sample.querySelector(".view").hidden = false;
    sample.querySelector(".turn").textContent = "Turn in 3D";
    open.splice(open.indexOf(sample), 1);
  };
  const show = (sample) => {
    if (open.length >= MOST) close(open[0]);
    const hand = data(sample), faces = meshes[hand.mesh];
    const traces = [skeleton(hand.truth, "truth", "#5b6570"), skeleton(hand.prediction, "prediction", "#d55e00")];
    if (hand.truth_mesh) traces.push(surface(hand.truth_mesh, "truth", "#9aa3ad", faces));
    if (hand.prediction_mesh) traces.push(surface(hand.prediction_mesh, "prediction", "#e69f00", faces));
    const turned = document.createElement("div");
    turned.className = "turned";
    sample.querySelector(".view").after(turned);
    turned.style.height = "288px";
    const none = { visible: false };
    Plotly.newPlot(turned, traces, {
      margin: { l: 0, r: 0, t: 0, b: 0 }, showlegend: false,
      // as the camera sees it: x to the right, y down, z away
      scene: { aspectmode: "data", xaxis: none, yaxis: none, zaxis: none,
               camera: { up: { x: 0, y: -1, z: 0 }, eye: { x: 0, y: 0, z: -1.8 } } },
    }, quiet);
    sample.querySelector(".view").hidden = true;
    sample.querySelector(".turn").textContent = "Back to the image";
    open.push(sample);
  };
  for (const sample of all(".sample"))
    sample.querySelector(".turn").addEventListener("click", () => (open.includes(sample) ? close : show)(sample));

  // rows by a word
  const words = document.getElementById("words"), whose = document.getElementById("whose");
  const rows = all("#tables tbody tr").map((row) => ({
    row, text: `${row.closest(".table").querySelector("h3").textContent} ${row.textContent}`.toLowerCase(),
  }));
  const filter = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { row, text } of rows) {
      row.hidden = !(wanted.every((word) => text.includes(word)) && (!whose.value || row.classList.contains(whose.value)));
      shown += !row.hidden;
    }
    for (const what of [".part", ".table"])
      for (const place of all(`#tables ${what}`)) place.hidden = !place.querySelector("tbody tr:not([hidden])");
    document.getElementById("count").textContent = `${shown} of ${rows.length} rows`;
  };
  words.addEventListener("input", filter);
  whose.addEventListener("change", filter);
  filter();

  const jump = document.getElementById("jump");
  jump.addEventListener("change", () => {
    words.value = whose.value = "";
    filter();
    document.getElementById(jump.value).scrollIntoView();
  });

  // sources where the pointer, or the finger, is
  const tip = document.getElementById("tip");
  const tell = (event) => {
    const cell = event.target.closest("[data-source]");
    tip.hidden = !cell;
    if (!cell) return;
    tip.textContent = cell.dataset.source;
    const place = cell.getBoundingClientRect(), box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(place.left, innerWidth - box.width - 4))}px`;
    tip.style.top = `${place.bottom + box.height + 8 < innerHeight ? place.bottom + 4 : Math.max(4, place.top - box.height - 4)}px`;
  };
  document.addEventListener("mouseover", tell);
  document.addEventListener("click", tell);

  // paper is narrower than a screen
  const fit = () => all(".plot").forEach((plot) => Plotly.Plots.resize(plot));
  addEventListener("beforeprint", fit);
  addEventListener("afterprint", fit);
})();

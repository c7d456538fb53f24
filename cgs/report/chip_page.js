// The chip's page: DATA has every design that the controls can choose; nothing is computed here but sums and pictures.
const SVG = "http://www.w3.org/2000/svg";
const PREFIXES = [[1, ""], [1e-3, "m"], [1e-6, "u"], [1e-9, "n"], [1e-12, "p"]];
const byId = (id) => document.getElementById(id);

function told(value, unit) {
  const [scale, prefix] = PREFIXES.find(([scale]) => value >= scale) || PREFIXES[PREFIXES.length - 1];
  return `${(value / scale).toPrecision(3)} ${prefix}${unit}`;
}

function rectangle(svg, x, y, width, height, colour, label) {
  const shape = document.createElementNS(SVG, "rect");
  for (const [name, value] of Object.entries({ x, y, width, height, fill: colour, stroke: "var(--paper)" })) shape.setAttribute(name, value);
  const title = document.createElementNS(SVG, "title");
  title.textContent = label;
  shape.append(title);
  svg.append(shape);
  if (width > 60 && height > 18) {
    const text = document.createElementNS(SVG, "text");
    for (const [name, value] of Object.entries({ x: x + 4, y: y + 14, "font-size": 11, fill: "#fff" })) text.setAttribute(name, value);
    text.textContent = label.slice(0, Math.floor(width / 6.2));
    svg.append(text);
  }
}

// Each part gets a slice of what is left, along its longer side, so that areas are in proportion.
function floorplan(svg, parts) {
  svg.replaceChildren();
  let [x, y, width, height] = [0, 0, 500, 300];
  let left = parts.reduce((sum, part) => sum + part.value, 0);
  for (const part of [...parts].sort((a, b) => b.value - a.value)) {
    const share = left > 0 ? part.value / left : 0;
    left -= part.value;
    if (width >= height) {
      rectangle(svg, x, y, width * share, height, part.colour, part.label);
      x += width * share;
      width -= width * share;
    } else {
      rectangle(svg, x, y, width, height * share, part.colour, part.label);
      y += height * share;
      height -= height * share;
    }
  }
}

// One bar for each supply, the chosen one marked; bars of supplies that are too slow for real time are pale.
function stack(svg, design, chosen) {
  svg.replaceChildren();
  const totals = DATA.supplies.map((_, i) => DATA.components.reduce((sum, name) => sum + design.power[name][i], 0));
  const highest = Math.max(...totals);
  const width = 500 / totals.length;
  totals.forEach((total, i) => {
    let y = 280;
    for (const name of DATA.components) {
      const height = (260 * design.power[name][i]) / highest;
      y -= height;
      rectangle(svg, i * width + 2, y, width - 4, height, DATA.colours[name], `${DATA.names[name]}, ${DATA.supplies[i]} V: ${told(design.power[name][i], "W")}`);
      svg.lastChild.setAttribute("opacity", design.max_clock_hz[i] >= design.clock_hz ? 1 : 0.25);
    }
    if (i === chosen) rectangle(svg, i * width + 2, 283, width - 4, 5, "currentColor", `${DATA.supplies[i]} V: ${told(total, "W")}`);
  });
}

function show() {
  const supply = Number(byId("supply").value);
  const macs = DATA.macs[Number(byId("macs").value)];
  const design = DATA.designs[byId("system").value][byId("node").value][macs];
  const words = DATA.words_per_s[byId("system").value];
  const powers = DATA.components.map((name) => design.power[name][supply]);
  const power = powers.reduce((sum, value) => sum + value, 0);
  const area = Object.values(design.area).reduce((sum, value) => sum + value, 0);
  const fast = design.max_clock_hz[supply] >= design.clock_hz;
  byId("supply-told").textContent = `${DATA.supplies[supply]} V`;
  byId("macs-told").textContent = macs;
  const rows = [
    ["power", told(power, "W") + (fast ? "" : ", of the work: the engine is too slow here")],
    ["energy a frame", told(power / DATA.frames_per_s, "J")],
    ...(words ? [["energy a word of the test split", told(power / words, "J")]] : []),
    ["clock needed, possible", `${(design.clock_hz / 1e6).toPrecision(3)} MHz, ${(design.max_clock_hz[supply] / 1e6).toPrecision(3)} MHz`],
    ["time a frame takes at the highest clock", told(design.cycles / design.max_clock_hz[supply], "s")],
    ["area", `${(area * 1e6).toPrecision(3)} mm2`],
  ];
  byId("told").innerHTML = rows.map(([name, value]) => `<dt>${name}</dt><dd>${value}</dd>`).join("");
  stack(byId("power"), design, supply);
  floorplan(byId("area"), Object.entries(design.area).map(([name, value]) => ({ value, colour: DATA.colours[name], label: `${DATA.names[name]}: ${(value * 1e6).toPrecision(2)} mm2` })));
  byId("legend").innerHTML = DATA.components
    .map((name, i) => `<span><i style="background:${DATA.colours[name]}"></i>${DATA.names[name]} ${told(powers[i], "W")}</span>`)
    .join("");
}

for (const id of ["system", "node", "supply", "macs"]) byId(id).addEventListener("input", show);
show();

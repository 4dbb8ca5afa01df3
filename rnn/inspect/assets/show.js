/* show.js: a drawing of rnn.show in a page. Plain JavaScript, nothing fetched, nothing evaluated.
 *
 * Parts: words; layout (as rnn/inspect/layout.py); the graph; the view (as view.py); the labels (as
 * labels.py); the drawing; the panel; the tape's player; search; pan, zoom and keys. Names come in as
 * JSON and go out as text nodes only. Each drawing lives in a shadow root of its own. */
(function () {
"use strict";

/* ---- helpers -------------------------------------------------------------------------------- */

const SVG = "http://www.w3.org/2000/svg";

function make(tag, attributes, ...children) {
  const made = document.createElement(tag);
  return fill(made, attributes, children);
}

function svg(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "onclick") made.addEventListener("click", value);
    else if (value !== undefined && value !== null && value !== false) made.setAttribute(key, value);
  }
  for (const child of children) if (child !== null && child !== undefined) made.append(child);
  return made;
}

function unpack(text, Type) {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return new Type(bytes.buffer);
}

const real = (x) => (typeof x === "string" ? Number(x) : x === undefined ? null : x);

/* ---- words (rnn/inspect/words.py) ------------------------------------------------------------ */

const MINUS = "\u2212";

function number(x, digits = 4) {
  if (x === null || x === undefined) return "\u2013";
  if (x !== x) return "NaN";
  const sign = x < 0 ? MINUS : "";
  x = Math.abs(x);
  if (x === Infinity) return sign + "\u221e";
  if (x === 0) return sign + "0.0";
  if (x < 1e-3 || x >= 1e6 || (digits < 3 && x >= 1e4)) {
    const [mantissa, exponent] = x.toExponential(Math.min(digits - 1, 2)).split("e");
    return sign + tidy(mantissa) + "e" + String(Number(exponent)).replace("-", MINUS);
  }
  if (x >= 1e4) return sign + x.toFixed(0);
  return sign + tidy(x.toFixed(Math.max(digits - 1 - Math.floor(Math.log10(x)), 0)));
}

function tidy(text) {
  if (!text.includes(".")) return text;
  text = text.replace(/0+$/, "");
  return text.endsWith(".") ? text + "0" : text;
}

/** As many digits of a number, four at most, as there is room for. */
function fitting(x, room, size, most = 4) {
  let text = "";
  for (let digits = most; digits > 0; digits--) {
    text = number(x, digits);
    if (width(text, size) <= room) break;
  }
  return text;
}

/** All digits of a number. */
function exact(x) {
  if (x === null || x === undefined) return "none";
  if (Math.abs(x) === Infinity) return number(x);
  if (x !== 0 && Math.abs(x) < 1e-4) return x.toExponential().replace(/-/g, MINUS);
  return String(x).replace("-", MINUS) + (Number.isInteger(x) && Math.abs(x) < 1e16 ? ".0" : "");
}

function count(n) {
  if (n < 10000) return n.toLocaleString("en").replace(/,/g, "\u2009");
  for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]])
    if (n >= size) return (n / size).toFixed(n / size >= 100 ? 0 : 1) + "\u2009" + unit;
}

/** How much wider the letters of a title are than others of its size. */
const BOLD = 1.12;

function charWidth(c) {
  if ("ijl.,:;|!'()[]\u2009 ".includes(c)) return 0.33;
  if (c >= "0" && c <= "9") return 0.64;
  if (c === "\u2026") return 0.98;
  if ("ftrI/-".includes(c)) return 0.42;
  if ("+=\u2212\u00d7\u2264".includes(c)) return 0.88;
  if ("mwMW@%".includes(c)) return 0.98;
  return "ABCDEFGHKLNOPQRSTUVXYZ".includes(c) ? 0.7 : 0.61;
}

function width(text, size) {
  let total = 0;
  for (const c of text) total += charWidth(c);
  return size * total;
}

function shorten(text, room, size) {
  if (width(text, size) <= room) return text;
  let keep = text.length;
  while (keep > 2 && width(text.slice(0, keep), size) > room - size * 0.9) keep--;
  const tail = Math.min(Math.floor(keep / 2), 10);
  return text.slice(0, keep - tail) + "\u2026" + (tail ? text.slice(-tail) : "");
}

/* ---- layout (rnn/inspect/layout.py, line for line) ------------------------------------------- */

const ORDERING = 4, SWEEPS = 10, LONGEST_ROUTE = 24, BEND = 10, BORDER = 18;

function layered(sizes, links, gap, space, entries, exits) {
  const n = sizes.length, rank = ranks(n, links, entries, exits), breadths = sizes.map((s) => s[1]);
  const [joints, chains] = cutLinks(n, links, rank, breadths, entries);
  const layers = [];
  for (const r of rank) while (layers.length <= r) layers.push([]);
  for (const box of firstOrder(n, links, chains)) layers[rank[box]].push(box);
  const across = placeAcross(n, layers, joints, breadths, space, entries);
  const [start, end, length] = placeAlong(sizes, layers, n, gap);
  let low = Infinity, high = -Infinity;
  for (let i = 0; i < n; i++) {
    low = Math.min(low, across[i] - breadths[i] / 2);
    high = Math.max(high, across[i] + breadths[i] / 2);
  }
  if (!n) low = high = 0;
  for (const chain of chains) for (const bend of chain) {
    low = Math.min(low, across[bend]);
    high = Math.max(high, across[bend]);
  }
  return {
    along: sizes.map((s, i) => end[rank[i]] - s[0] / 2),
    across: sizes.map((s, i) => across[i] - low),
    length, breadth: high - low, first: end[0] || 0, last: start[start.length - 1] || 0,
    bends: chains.map((chain) =>
      chain.map((bend) => [start[rank[bend]], end[rank[bend]], across[bend] - low])),
  };
}

function ranks(n, links, entries, exits) {
  const rank = Array(n).fill(0), hasOperands = Array(n).fill(false), nearest = Array(n).fill(-1);
  const into = Array.from({length: n}, () => []);
  for (const link of links) {
    into[link.b].push(link.a);
    hasOperands[link.b] = true;
  }
  for (let b = 0; b < n; b++) for (const a of into[b]) rank[b] = Math.max(rank[b], rank[a] + 1);
  const last = Math.max(0, ...rank);
  for (let b = n - exits; b < n; b++) rank[b] = last;
  for (const link of links) if (!hasOperands[link.a] && link.a >= entries) {
    const near = nearest[link.a], here = rank[link.b] - 1;
    nearest[link.a] = near < 0 ? here : Math.min(near, here);
  }
  return nearest.map((near, i) => (near >= 0 ? near : rank[i]));
}

function cutLinks(n, links, rank, breadths, entries) {
  const joints = [], chains = [], source = rank.map((_, i) => i >= entries), flowing = Array(n).fill(false);
  for (const link of links) source[link.b] = false;
  for (const link of links) flowing[link.b] = flowing[link.b] || !source[link.a];
  for (const link of links) {
    const chain = [];
    let last = link.a, at = link.atA;
    if (rank[link.b] - rank[link.a] <= LONGEST_ROUTE)
      for (let between = rank[link.a] + 1; between < rank[link.b]; between++) {
        chain.push(rank.length);
        joints.push({a: last, b: rank.length, atA: at, atB: 0, weak: false});
        last = rank.length;
        at = 0;
        rank.push(between);
        breadths.push(BEND);
      }
    const weak = source[link.a] && flowing[link.b];
    joints.push({a: last, b: link.b, atA: at, atB: link.atB, weak});
    chains.push(chain);
  }
  return [joints, chains];
}

function firstOrder(n, links, chains) {
  const into = Array.from({length: n}, () => []), order = [];
  links.forEach((link, k) => into[link.b].push(k));
  const seen = Array(n).fill(false), nextOperand = Array(n).fill(0), used = Array(n).fill(false);
  for (const link of links) used[link.a] = true;
  for (let last = 0; last < n; last++) {
    if (used[last]) continue;
    seen[last] = true;
    const stack = [last];
    while (stack.length) {
      const box = stack[stack.length - 1];
      if (nextOperand[box] < into[box].length) {
        const k = into[box][nextOperand[box]++];
        if (!seen[links[k].a]) {
          seen[links[k].a] = true;
          stack.push(links[k].a);
        }
        order.push(...chains[k]);
      } else {
        order.push(box);
        stack.pop();
      }
    }
  }
  return order;
}

function placeAcross(n, layers, joints, breadths, space, entries) {
  let back = breadths.map(() => []);
  const ahead = breadths.map(() => []);
  joints.forEach((joint, k) => {
    back[joint.b].push(k);
    ahead[joint.a].push(k);
  });
  const source = back.map((found, i) => i >= entries && !found.length);
  back = back.map((found) => found.filter((k) => !joints[k].weak));
  const across = Array(breadths.length).fill(0);
  for (const layer of layers)
    place(layer, layer.map(() => 0), layer.map(() => 1), across, breadths, n, space);
  for (let sweep = 0; sweep < SWEEPS + 2; sweep++) {
    const forward = sweep % 2 === 0, both = ORDERING <= sweep && sweep < SWEEPS;
    for (let l = 0; l < layers.length; l++) {
      const layer = layers[forward ? l : layers.length - 1 - l];
      let wanted = [], weights = [];
      for (const box of layer) {
        let total = 0, found = 0;
        if (forward || both) for (const k of back[box]) {
          total += across[joints[k].a] + joints[k].atA - joints[k].atB;
          found++;
        }
        if ((!forward || both) && (sweep < SWEEPS || source[box])) for (const k of ahead[box]) {
          total += across[joints[k].b] + joints[k].atB - joints[k].atA;
          found++;
        }
        wanted.push(found ? total / found : across[box]);
        const aside = sweep < SWEEPS ? 0.05 : 1e-6;
        weights.push(source[box] ? aside : box < n ? 1 + found : 2);
      }
      if (sweep < ORDERING) {
        const by = inOrder(wanted);
        layer.splice(0, layer.length, ...by.map((i) => layer[i]));
        wanted = by.map((i) => wanted[i]);
        weights = by.map((i) => weights[i]);
      }
      place(layer, wanted, weights, across, breadths, n, space);
    }
  }
  return across;
}

function inOrder(wanted) {
  const n = wanted.length;
  const [low, high] = wanted.reduce(([a, b], x) => [Math.min(a, x), Math.max(b, x)], [Infinity, -Infinity]);
  let order = wanted.map((_, i) => i);
  if (order.every((i) => i === 0 || wanted[i - 1] <= wanted[i])) return order;
  const base = Math.max(16, n), scale = (base ** 3 - 1) / (high - low);
  const keys = wanted.map((at) => Math.floor((at - low) * scale));
  for (const digit of [1, base, base * base]) {
    const buckets = Array.from({length: base}, () => []);
    for (const i of order) buckets[Math.floor(keys[i] / digit) % base].push(i);
    order = buckets.flat();
  }
  return order;
}

function place(layer, wanted, weights, across, breadths, n, space) {
  let shift = 0, last = -1;
  const pools = [], shifts = [];
  layer.forEach((box, i) => {
    if (last >= 0) {
      const apart = box < n && last < n ? space : space / 2;
      shift += breadths[last] / 2 + breadths[box] / 2 + apart;
    }
    last = box;
    shifts.push(shift);
    pools.push([wanted[i] - shift, weights[i], 1]);
    while (pools.length > 1 && pools[pools.length - 2][0] > pools[pools.length - 1][0]) {
      const [mean, weight, many] = pools.pop(), pool = pools[pools.length - 1];
      pool[0] = (pool[0] * pool[1] + mean * weight) / (pool[1] + weight);
      pool[1] += weight;
      pool[2] += many;
    }
  });
  let i = 0;
  for (const [mean, , many] of pools)
    for (let k = 0; k < many; k++, i++) across[layer[i]] = mean + shifts[i];
}

function placeAlong(sizes, layers, n, gap) {
  const lengths = layers.map((layer) =>
    layer.reduce((most, box) => (box < n ? Math.max(most, sizes[box][0]) : most), 0));
  const start = [], end = [];
  let at = 0;
  lengths.forEach((length, k) => {
    start.push(at);
    at += length;
    end.push(at);
    if (k + 1 < lengths.length) at += length && lengths[k + 1] ? gap : Math.min(gap, BORDER);
  });
  return [start, end, at];
}

/* ---- the graph ------------------------------------------------------------------------------- */

/** What the page holds of the graph. A scalar is known by its node's id. */
class Graph {
  constructor(data) {
    this.data = data;
    this.rows = data.rows;
    for (const [i, row] of this.rows.entries()) {
      row.index = i;
      row.grad = real(row.grad);
      row.value = real(row.value) || 0;
      row.strip = row.strip && row.strip.map(real);
      row.note = row.note || "";
      row.pill = row.pill || "";
      row.scalar = row.n === 1 && row.spans === 1;
      row.leaves = row.leaves || 0;
      row.columns = row.shape.length ? row.shape[row.shape.length - 1] : 1;
    }
    const pairs = unpack(data.links, Uint32Array);
    this.links = [];
    for (let k = 0; k < pairs.length; k += 2) this.links.push([pairs[k], pairs[k + 1]]);
    this.values = unpack(data.values, Float64Array);
    this.grads = unpack(data.grads, Float64Array);
    this.largest = real(data.largest);
    this.byId = [...this.rows].sort((a, b) => a.id - b.id);
    this.byDense = this.rows.filter((row) => row.dense >= 0 && row.n).sort((a, b) => a.dense - b.dense);
    this.chosen = new Map(data.chosen.map((c) => [c.id, c]));
    this.chosenOf = new Map();
    for (const c of data.chosen) {
      if (!this.chosenOf.has(c.row)) this.chosenOf.set(c.row, []);
      this.chosenOf.get(c.row).push(c.id);
    }
    this.complete = Boolean(data.edges);
    if (this.complete) this.readEdges(data.edges);
  }

  readEdges(edges) {
    const user = unpack(edges.user, Uint32Array), operand = unpack(edges.operand, Uint32Array);
    const local = unpack(edges.local, Float64Array), flows = unpack(edges.flows, Uint8Array);
    this.edgeCount = user.length;
    this.into = new Map();
    this.outOf = new Map();
    for (let k = 0; k < user.length; k++) {
      const edge = {user: this.idAt(user[k]), operand: this.idAt(operand[k]), local: local[k],
        flows: flows[k] === 1};
      push(this.into, edge.user, edge);
      push(this.outOf, edge.operand, edge);
    }
  }

  idAt(dense) {
    const row = search(this.byDense, (r) => r.dense <= dense);
    return row.id + dense - row.dense;
  }

  rowOf(id) {
    const row = search(this.byId, (r) => r.id <= id);
    return row && (row.spans > 1 ? id <= row.last : id < row.id + row.n) ? row : null;
  }

  /** Whether a scalar is within a row of many operations, which this page does not hold apart. */
  within(id) {
    const row = this.rowOf(id);
    return row !== null && row.spans > 1;
  }

  /** Whether the page holds this scalar's value. */
  has(id) {
    const row = this.rowOf(id);
    return Boolean(row) && (row.dense >= 0 || this.chosen.has(id));
  }

  value(id) {
    const row = this.rowOf(id);
    if (row && row.dense >= 0) return this.values[row.dense + id - row.id];
    return this.chosen.has(id) ? real(this.chosen.get(id).value) : null;
  }

  grad(id) {
    const row = this.rowOf(id);
    if (!row || row.grad === null) return null;
    if (row.dense >= 0) return this.grads[row.dense + id - row.id];
    return this.chosen.has(id) ? real(this.chosen.get(id).grad) : null;
  }

  /** The operand edges of a scalar, or null where the page does not hold them. */
  operands(id) {
    if (this.complete) return this.into.get(id) || [];
    const c = this.chosen.get(id);
    return c ? c.operands.map(([o, local, flows]) =>
      ({user: id, operand: o, local: real(local), flows: flows === 1})) : null;
  }

  /** The uses of a scalar with the gradients of its users, or null. */
  uses(id) {
    if (this.complete)
      return (this.outOf.get(id) || []).filter((e) => e.flows)
        .map((e) => ({...e, userGrad: this.grad(e.user)}));
    const c = this.chosen.get(id);
    return c && c.uses ? c.uses.map(([u, local, grad]) =>
      ({user: u, operand: id, local: real(local), userGrad: real(grad), flows: true})) : null;
  }

  missing(id, what) {
    const c = this.chosen.get(id);
    return this.complete || !c || !c.uses ? 0 : what === "uses" ? c.useCount - c.uses.length
      : c.operandCount - c.operands.length;
  }

  index(id) {
    const row = this.rowOf(id), index = [];
    let rest = id - row.id;
    for (let d = row.shape.length - 1; d >= 0; d--) {
      index.unshift(rest % row.shape[d]);
      rest = Math.floor(rest / row.shape[d]);
    }
    return index;
  }

  label(id) {
    const row = this.rowOf(id);
    if (!row) return "#" + id;
    if (row.spans > 1) return "#" + id;
    if (row.scalar) return row.title;
    const title = row.title.startsWith("#") ? row.op : row.title;
    return (/ /.test(title) ? "(" + title + ")" : title) + "[" + this.index(id).join(", ") + "]";
  }

  /** The scalars of a row that the page can show one by one; of more than `most` those around one. */
  shown(row, most, around) {
    const chosen = row.dense < 0 ? this.chosenOf.get(row.index) || [] : null;
    const n = chosen ? chosen.length : row.n;
    const at = chosen ? chosen.indexOf(around) : (around || row.id) - row.id;
    const first = Math.max(0, Math.min(at - most / 2, n - most));
    if (chosen) return chosen.slice(first, first + most).sort((a, b) => a - b);
    return Array.from({length: Math.min(n, most)}, (_, k) => row.id + first + k);
  }

  /** The k paths from a scalar to a root with the largest products of local derivatives. */
  paths(id, k) {
    if (!this.complete)
      return this.data.paths.filter((p) => p.from === id).map((p) => ({...p, product: real(p.product)}));
    const roots = new Set(this.data.rootNodes);
    if (!roots.size) for (const r of this.data.roots) for (let i = 0; i < this.rows[r].n; i++)
      roots.add(this.rows[r].id + i);
    const best = new Map([[id, [{product: 1, before: null, node: id, edge: null}]]]);
    const queue = [id], queued = new Set(queue), order = [];
    while (queue.length) {
      const at = queue.pop();
      order.push(at);
      for (const e of this.outOf.get(at) || []) if (e.flows && !queued.has(e.user)) {
        queued.add(e.user);
        queue.push(e.user);
      }
    }
    order.sort((a, b) => a - b);
    const found = [];
    for (const at of order) {
      const here = (best.get(at) || []).sort((a, b) => Math.abs(b.product) - Math.abs(a.product))
        .slice(0, k);
      if (roots.has(at) && at !== id) found.push(...here);
      for (const e of this.outOf.get(at) || []) if (e.flows) for (const p of here)
        push(best, e.user, {product: p.product * e.local, before: p, node: e.user, edge: e});
    }
    found.sort((a, b) => Math.abs(b.product) - Math.abs(a.product));
    return found.slice(0, k).filter((p) => p.product !== 0).map((p) => {
      const nodes = [];
      for (let at = p; at; at = at.before) nodes.unshift(at.node);
      return {from: id, product: p.product, nodes};
    });
  }
}

function push(map, key, value) {
  if (map.has(key)) map.get(key).push(value);
  else map.set(key, [value]);
}

/** The last of a sorted list for which a condition holds. */
function search(list, holds) {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(list[middle])) low = middle + 1;
    else high = middle;
  }
  return low ? list[low - 1] : null;
}

/* ---- the view (rnn/inspect/view.py) ---------------------------------------------------------- */

const SCALAR_W = 124, SCALAR_H = 54, ROW_W = 186, ROW_H = 84, ROW_MOST = 260, GROUP_W = 186, GROUP_H = 70;
const HEAD = 26, PAD = 12, CELL_W = 60, CELL_H = 34, PILL_H = 24, STEM = 9, ENTRY = 8, GRID = 8;
/** Between ranks, downwards and from left to right: where edges show no derivatives, where they do,
 * and where so many leave a box that these need room. */
const CLOSE = [28, 38], APART = [46, 58], FAR = [64, 84], CROWDED = 3;
/** Edges from one scalar to another that are drawn apart; more share the last. */
const TWINS = 3;
/** Room that a name gets at most. */
const LONG = 280;
/** A drawing that must be made smaller than this to fit is not opened as far at first. */
const READABLE = 0.66;
/** Scalars that a tensor shows as boxes of their own. */
const MOST_SCALARS = 64;

/** How a row is open: folded, as a grid of numbers, as scalar boxes. */
const FOLDED = 0, NUMBERS = 1, SCALARS = 2;

class View {
  constructor(graph, state) {
    this.graph = graph;
    this.state = state;
    this.down = state.down;
    this.visible = new Map(); // row -> item
    this.nodes = new Map(); // node id -> item of its own
    this.top = {key: "top", group: graph.data.tree, open: true, children: [], hops: new Map(),
      entries: new Map(), exits: new Map(), pill: "", x: 0, y: 0, parent: null, title: ""};
    this.grow();
    this.wires = this.makeWires();
    this.arrange(this.top);
    this.items = [];
    this.settle(this.top, 0, 0);
    for (const wire of this.wires) this.ends(wire);
  }

  grow() {
    const stack = [this.top];
    while (stack.length) {
      const parent = stack.pop();
      for (const member of parent.group.members) {
        let child;
        if (typeof member === "number") {
          child = this.rowItem(this.graph.rows[member], parent !== this.top);
          this.visible.set(member, child);
        } else {
          child = this.item("g" + member.id, {group: member, title: member.name,
            open: this.state.open.has(member.id)});
          const rows = rowsOf(member).map((i) => this.graph.rows[i]);
          const ops = rows.reduce((sum, row) => sum + operations(row), 0);
          child.w = GROUP_W;
          child.h = GROUP_H;
          child.note = count(ops) + (ops === 1 ? " op" : " ops") + " \u00b7 " +
            count(rows.reduce((sum, row) => sum + row.n, 0)) + " nodes";
          if (child.open) stack.push(child);
          else for (const row of rows) this.visible.set(row.index, child);
        }
        child.parent = parent;
        parent.children.push(child);
      }
    }
  }

  item(key, given) {
    return {key, w: 0, h: 0, x: 0, y: 0, pill: "", pillW: 0, title: "", note: "",
      open: false, parent: null, children: [], hops: new Map(), entries: new Map(),
      exits: new Map(), row: null, node: null, group: null,
      ...given};
  }

  rowItem(row, within) {
    const title = within ? row.short : row.title;
    const item = this.item("r" + row.index, {row, title, note: row.note});
    const mode = this.state.rows.get(row.index) || FOLDED;
    if (mode === SCALARS) {
      item.open = item.scalars = true;
      for (const id of this.graph.shown(row, MOST_SCALARS, this.state.around.get(row.index))) {
        const child = this.item("n" + id, {row, node: id, title: this.graph.label(id), parent: item});
        this.bubble(child, row);
        child.w = Math.min(Math.max(SCALAR_W, width(child.title, 15) + 32), 190);
        child.h = SCALAR_H;
        item.children.push(child);
        this.nodes.set(id, child);
      }
      return item;
    }
    this.bubble(item, row);
    if (row.scalar) {
      item.node = row.id;
      item.h = SCALAR_H;
      const needed = width(item.title, 15) + width(item.note, 11) + 32;
      item.w = Math.min(Math.max(SCALAR_W, needed), 190);
    } else if (mode === NUMBERS) {
      item.open = true;
      [item.gridRows, item.gridColumns] = this.grid(row);
      const heading = Math.min(width(item.title, 14), LONG) + width(item.note, 11) + 44;
      item.w = Math.max(item.gridColumns * CELL_W, heading) + 2 * PAD;
      item.h = HEAD + item.gridRows * CELL_H + PAD;
    } else {
      const needed = width(item.title, 13 * BOLD) + width(item.note, 11) + 50;
      item.w = row.spans === 1 ? Math.min(Math.max(ROW_W, needed), ROW_MOST) : ROW_W;
      item.h = ROW_H;
    }
    return item;
  }

  bubble(item, row) {
    if (row.leaf || !row.pill) return;
    item.pill = row.pill;
    item.pillW = Math.max(PILL_H, width(item.pill, 13 * (item.pill.length > 2 ? BOLD : 1)) + 14);
  }

  /** Rows and columns of an open tensor; chosen scalars stand in one column. */
  grid(row) {
    if (row.dense < 0) return [Math.min(this.graph.shown(row, GRID).length || 1, GRID), 2];
    return [Math.min(Math.floor(row.n / Math.max(row.columns, 1)), GRID), Math.min(row.columns, GRID)];
  }

  makeWires() {
    const found = new Map(), exploded = new Set();
    const add = (a, b, link, edge) => {
      if (a === b || !a || !b) return;
      let twin = 0, key = a.key + " " + b.key + " ";
      if (a.node !== null && b.node !== null) while (found.has(key + twin) && twin < TWINS - 1) twin++;
      if (found.has(key + twin)) {
        found.get(key + twin).links.push(link);
        return;
      }
      const wire = {a, b, links: [link], twin, hops: [], points: [], edge};
      found.set(key + twin, wire);
      this.route(wire);
    };
    const twins = new Map();
    for (const [k, [operand, user]] of this.graph.links.entries()) {
      const a = this.visible.get(operand), b = this.visible.get(user);
      if (a.scalars || b.scalars) {
        const key = operand + " " + user;
        if (exploded.has(key)) continue;
        exploded.add(key);
        this.scalarEdges(this.graph.rows[operand], this.graph.rows[user], a, b, k, add);
        continue;
      }
      let edge = null;
      if (a.node !== null && b.node !== null && a !== b) {
        const among = (this.graph.operands(b.node) || []).filter((e) => e.operand === a.node);
        const key = a.key + " " + b.key, twin = twins.get(key) || 0;
        twins.set(key, twin + 1);
        edge = among[twin] || null;
      }
      add(a, b, k, edge);
    }
    for (const item of this.visible.values()) if (item.scalars)
      this.scalarEdges(item.row, item.row, item, item, -1, add);
    return [...found.values()];
  }

  /** The edges between two tensors of which one at least is open to its scalars. */
  scalarEdges(operand, user, a, b, link, add) {
    if (b.scalars) {
      for (const child of b.children) for (const edge of this.graph.operands(child.node) || [])
        if (this.graph.rowOf(edge.operand) === operand) {
          const from = this.nodes.get(edge.operand) || (a.scalars ? null : a);
          add(from, child, link, from && from.node !== null ? edge : null);
        }
    } else {
      for (const child of a.children) for (const edge of this.graph.uses(child.node) || [])
        if (this.graph.rowOf(edge.user) === user)
          add(child, b, link, b.node !== null ? edge : null);
    }
  }

  /** The way of a wire: out of the groups around its first box, and into those around its last. */
  route(wire) {
    const above = new Set();
    for (let box = wire.b.parent; box; box = box.parent) above.add(box);
    let child = wire.a, box = wire.a.parent;
    for (; !above.has(box); child = box, box = box.parent) hop(wire, box, child, null);
    const inwards = [wire.b];
    while (inwards[inwards.length - 1].parent !== box) inwards.push(inwards[inwards.length - 1].parent);
    hop(wire, box, child, inwards[inwards.length - 1]);
    while (inwards.length > 1) {
      const group = inwards.pop();
      hop(wire, group, null, inwards[inwards.length - 1]);
    }
  }

  outer(item) {
    if (this.down) {
      return [item.h + (item.pill ? PILL_H + STEM : 0), Math.max(item.w, item.pillW)];
    }
    return [item.w + (item.pill ? item.pillW + STEM : 0), item.h];
  }

  arrange(item) {
    for (const child of item.children) if (child.children.length) this.arrange(child);
    const hops = [...item.hops.values()], entries = new Map(), exits = new Map();
    for (const h of hops) {
      if (!h.a && !entries.has(h.source)) entries.set(h.source, entries.size);
      if (!h.b && !exits.has(h.source)) exits.set(h.source, exits.size);
    }
    const index = new Map(item.children.map((child, i) => [child, entries.size + i]));
    const total = entries.size + item.children.length;
    const links = hops.map((h) => ({
      a: h.a ? index.get(h.a) : entries.get(h.source),
      b: h.b ? index.get(h.b) : total + exits.get(h.source),
      atA: (h.a && h.a.exits.get(h.source)) || 0,
      atB: (h.b && h.b.entries.get(h.source)) || 0,
    }));
    const uses = new Map();
    for (const h of hops) if (h.a && h.a.node !== null && (!h.b || h.b.node !== null))
      uses.set(h.a, (uses.get(h.a) || 0) + 1);
    const most = Math.max(0, ...uses.values());
    const gap = (most >= CROWDED ? FAR : most ? APART : CLOSE)[this.down ? 0 : 1];
    const space = this.down ? 22 : 18;
    const sizes = [...[...entries].map(() => [0, BEND]), ...item.children.map((c) => this.outer(c)),
      ...[...exits].map(() => [0, BEND])];
    const placed = layered(sizes, links, gap, space, entries.size, exits.size);
    const top = item.parent === null, head = top ? 0 : HEAD + 8, pad = top ? 0 : 16;
    const [wide, high] = this.down ? [placed.breadth, placed.length] : [placed.length, placed.breadth];
    item.w = wide + 2 * pad;
    item.h = high + head + pad;
    if (!top) item.w = Math.max(item.w, Math.min(width(item.title, 14), LONG) + 60);
    const [before, aside] = this.down ? [head, pad] : [pad, head];
    const middle = (this.down ? item.w : item.h) / 2, far = this.down ? item.h : item.w;
    item.children.forEach((child, i) => {
      const k = entries.size + i, [length, breadth] = sizes[k];
      const along = placed.along[k] - length / 2 + before, across = placed.across[k] - breadth / 2 + aside;
      [child.x, child.y] = this.down ? [across, along] : [along, across];
    });
    for (const [source, k] of entries) item.entries.set(source, placed.across[k] + aside - middle);
    for (const [source, k] of exits) item.exits.set(source, placed.across[total + k] + aside - middle);
    hops.forEach((h, k) => {
      let way = [];
      for (const [start, stop, at] of placed.bends[k]) way.push([start + before, at], [stop + before, at]);
      if (!h.a) {
        const at = placed.across[links[k].a];
        way = [[0, at], [placed.first + before, at], ...way];
      }
      if (!h.b) {
        const at = placed.across[links[k].b];
        way.push([placed.last + before, at], [far, at]);
      }
      h.points = way.map(([along, at]) => (this.down ? [at + aside, along] : [along, at + aside]));
    });
  }

  settle(item, x, y) {
    item.x += x;
    item.y += y;
    this.items.push(item);
    for (const h of item.hops.values())
      h.points = h.points.map(([px, py]) => [px + item.x, py + item.y]);
    for (const child of item.children) this.settle(child, item.x, item.y);
  }

  card(item) {
    if (!item.pill) return [item.x, item.y];
    if (this.down)
      return [item.x + Math.max(0, (item.pillW - item.w) / 2), item.y + PILL_H + STEM];
    return [item.x + item.pillW + STEM, item.y];
  }

  bubbleAt(item) {
    const [x, y] = this.card(item);
    if (this.down) return [x + item.w / 2, item.y + PILL_H / 2];
    return [item.x + item.pillW / 2, y + item.h / 2];
  }

  ends(wire) {
    const [x, y] = this.card(wire.a), {w, h} = wire.a;
    const start = this.down ? [x + w / 2, y + h] : [x + w, y + h / 2];
    wire.points = [start];
    for (const h of wire.hops) wire.points.push(...h.points);
    wire.points.push(this.entry(wire));
  }

  entry(wire) {
    const item = wire.b;
    const [x, y] = item.pill ? this.bubbleAt(item) : [item.x + item.w / 2, item.y + item.h / 2];
    const [fromX, fromY] = wire.points[wire.points.length - 1];
    let aside = 0.12 * (this.down ? fromX - x : fromY - y);
    aside = Math.min(Math.max(aside, -ENTRY), ENTRY) + 7 * wire.twin;
    if (!item.pill) return this.down ? [x + aside, item.y] : [item.x, y + aside];
    let bow = 0;
    if (item.pillW <= PILL_H)
      bow = PILL_H / 2 - Math.sqrt((PILL_H / 2) ** 2 - Math.min(Math.abs(aside), PILL_H / 2) ** 2);
    return this.down ? [x + aside, item.y + bow] : [item.x + bow, y + aside];
  }

  /** The local derivatives and their places, by the wires' numbers. */
  get labels() {
    if (!this.placed) {
      const texts = new Map();
      if (this.wires.length <= LABELLED) for (const [k, {edge}] of this.wires.entries())
        if (edge && edge.flows) texts.set(k, "\u00d7" + number(edge.local));
      this.placed = placeLabels(this, texts);
      for (const [k, label] of this.placed) label.says = texts.get(k);
    }
    return this.placed;
  }

  /** The item in which a scalar can be seen. */
  itemOf(id) {
    if (this.nodes.has(id)) return this.nodes.get(id);
    const row = this.graph.rowOf(id);
    return row ? this.visible.get(row.index) : null;
  }

  /** The cell of an open tensor that shows a scalar, or null: [x, y, w, h]. */
  cellOf(id) {
    const item = this.itemOf(id);
    if (!item || !item.open || item.scalars || !item.row) return null;
    const k = this.cells(item).findIndex((cell) => cell.id === id);
    if (k < 0) return null;
    const cell = this.cells(item)[k];
    return [cell.x, cell.y, cell.w, cell.h];
  }

  cells(item) {
    const [x, y] = this.card(item), row = item.row, cells = [];
    const inner = item.w - 2 * PAD;
    if (row.dense < 0) {
      this.graph.shown(row, GRID).forEach((id, i) => cells.push({id, x: x + PAD, w: inner,
        y: y + HEAD + i * CELL_H, h: CELL_H, label: "[" + this.graph.index(id).join(", ") + "]"}));
      return cells;
    }
    const [rows, columns] = this.grid(row), [r0, c0] = this.state.corner(row);
    for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++)
      cells.push({id: row.id + (r0 + i) * row.columns + c0 + j, x: x + PAD + j * inner / columns,
        y: y + HEAD + i * CELL_H, w: inner / columns, h: CELL_H});
    return cells;
  }
}

/* ---- the labels (rnn/inspect/labels.py, line for line) ---------------------------------------- */

/** A drawing of no more wires than this shows their local derivatives. */
const LABELLED = 80;
const SIZE = 11, ASCENT = 8.5, DESCENT = 2.5, STEP = 4, AROUND = 24, SQUARE = 32, ROUNDS = 2;
const UPON = 100, CROSSED = 20, ASTRAY = 30, NEAR = 4, FURTHER = 0.5, INSIDE = 0.3, AWAY = 2, HIDDEN = 1.5;
const PARTS = [0.5, 0.65, 0.35, 0.8];

/** What stands on the page: boxes, edges and the labels so far. */
class Field {
  constructor(view) {
    this.boxes = [];
    for (const item of view.items.slice(1)) if (!item.children.length) {
      const [x, y] = view.card(item);
      this.boxes.push([x, y, x + item.w, y + item.h]);
      if (item.pill) {
        const [bx, by] = view.bubbleAt(item), half = item.pillW / 2, high = PILL_H / 2;
        this.boxes.push([bx - half, by - high, bx + half, by + high]);
      }
    }
    this.ways = view.wires.map((wire) => pointsOf(wire.points, view.down));
    this.squares = new Map();
    for (const [k, way] of this.ways.entries()) for (const [x, y] of way)
      push(this.squares, Math.floor(x / SQUARE) + " " + Math.floor(y / SQUARE), [k, x, y]);
    this.labels = new Map();
  }

  /** The place that costs an edge least. */
  best(k, places) {
    let found = places[0], least = Infinity;
    const whole = [Math.min, Math.min, Math.max, Math.max].map((most, side) =>
      most(...places.map((label) => label.area[side])));
    const others = [...this.labels].filter(([i]) => i !== k).map(([, label]) => label.area);
    const taken = [...this.boxes, ...others].filter((area) => meet(whole, area));
    for (const label of places.sort((a, b) => a.cost - b.cost)) {
      if (label.cost >= least) break;
      let cost = label.cost + UPON * taken.filter((area) => meet(label.area, area)).length;
      if (cost < least) cost += this.cost(k, label.area);
      if (cost < least) [found, least] = [label, cost];
    }
    return found;
  }

  /** What the edges around cost a label of an edge. */
  cost(k, area) {
    const [left, top, right, bottom] = area, x = (left + right) / 2, y = (top + bottom) / 2;
    let cost = 0, own = Infinity, nearest = Infinity;
    const crossed = new Set();
    for (const [i, px, py] of this.near(area)) {
      const inside = left - 1 < px && px < right + 1 && top - 1 < py && py < bottom + 1;
      const far = Math.hypot(px - x, py - y);
      if (i === k) {
        own = Math.min(own, far);
        if (inside) cost += HIDDEN;
        continue;
      }
      nearest = Math.min(nearest, far);
      if (inside) crossed.add(i);
    }
    const astray = nearest < own + 1 ? ASTRAY : nearest < own + 5 ? NEAR : 0;
    return cost + CROSSED * crossed.size + astray;
  }

  * near([left, top, right, bottom]) {
    for (let i = Math.floor((left - AROUND) / SQUARE); i <= Math.floor((right + AROUND) / SQUARE); i++)
      for (let j = Math.floor((top - AROUND) / SQUARE); j <= Math.floor((bottom + AROUND) / SQUARE); j++)
        yield* this.squares.get(i + " " + j) || [];
  }
}

/** The places of texts beside edges, by the edges' numbers among the view's wires. */
function placeLabels(view, texts) {
  if (!texts.size) return new Map();
  const field = new Field(view);
  for (let round = 0; round < ROUNDS; round++) for (const [k, says] of texts) {
    const points = view.wires[k].points.slice(0, 3), w = width(says, SIZE), way = field.ways[k];
    const beside = view.down ? leftAndRight : aboveAndBelow;
    const places = [...beside(points, w, way), ...upon(points, w, way, view.down)];
    field.labels.set(k, field.best(k, places));
  }
  return field.labels;
}

function* aboveAndBelow(points, w, way) {
  const [[x0, y0], [x1, y1]] = points, places = [[x0 + 6, ""], [x1 - 4, "end"], [(x0 + x1) / 2, "middle"]];
  if (points.length > 2) places.push([x1 + 8, ""]);
  for (const [further, [x, anchor]] of places.entries()) {
    const left = x - (anchor === "end" ? w : anchor ? w / 2 : 0);
    const near = way.filter(([px]) => left - 2 <= px && px <= left + w + 2).map(([, py]) => py);
    if (!near.length) near.push(y0);
    for (const above of [true, false]) for (const away of [0, 8]) {
      const y = above ? Math.min(...near) - 6 - away : Math.max(...near) + 15 + away;
      const inside = above === y1 < y0 - 0.5 ? INSIDE : 0;
      yield {x, y, anchor, area: [left, y - ASCENT, left + w, y + DESCENT],
        cost: further * FURTHER + inside + away / 8 * AWAY};
    }
  }
}

function* leftAndRight(points, w, way) {
  const [[x0, y0], [x1, y1]] = points, places = [y0 + 15, y1 - 5, (y0 + y1) / 2 + 4];
  if (points.length > 2) places.push(y1 + 15);
  for (const [further, y] of places.entries()) {
    const near = way.filter(([, py]) => y - ASCENT - 2 <= py && py <= y + DESCENT + 2).map(([px]) => px);
    if (!near.length) near.push(x0);
    for (const right of [true, false]) for (const away of [0, 8]) {
      const x = right ? Math.max(...near) + 7 + away : Math.min(...near) - 7 - away;
      const left = right ? x : x - w, inside = right === x1 > x0 + 0.5 ? INSIDE : 0;
      yield {x, y, anchor: right ? "" : "end", area: [left, y - ASCENT, left + w, y + DESCENT],
        cost: further * FURTHER + inside + away / 8 * AWAY};
    }
  }
}

function* upon(points, w, way, down) {
  const along = down ? 1 : 0, [start, end, ...rest] = points.map((p) => p[along]);
  const places = [...PARTS.map((part) => start + (end - start) * part), ...rest.map((p) => (end + p) / 2)];
  for (const [further, at] of places.entries()) {
    const far = (p) => Math.abs(p[along] - at);
    const [x, y] = way.reduce((best, p) => (far(p) < far(best) ? p : best));
    yield {x, y: y + 3, anchor: "middle", area: [x - w / 2, y + 3 - ASCENT, x + w / 2, y + 3 + DESCENT],
      cost: further * FURTHER};
  }
}

function meet(a, b) {
  return a[0] < b[2] + 2 && b[0] < a[2] + 2 && a[1] < b[3] && b[1] < a[3];
}

/** Points of an edge's curve, no further than a step from each other. */
function pointsOf(points, down) {
  const found = [];
  for (let p = 1; p < points.length; p++) {
    const [x0, y0] = points[p - 1], [x1, y1] = points[p];
    const n = Math.ceil(Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0)) / STEP) + 1;
    for (let i = 0; i <= n; i++) {
      const t = i / n, ahead = 1.5 * t * (1 - t) + t * t * t, aside = t * t * (3 - 2 * t);
      const [u, v] = down ? [aside, ahead] : [ahead, aside];
      found.push([x0 + (x1 - x0) * u, y0 + (y1 - y0) * v]);
    }
  }
  return found;
}

/** A stretch of a wire within one group: from a child, or from outside (null), to another. */
function hop(wire, group, a, b) {
  const twin = a === wire.a && b === wire.b ? wire.twin : 0;
  const key = [a ? a.key : "", b ? b.key : "", wire.a.key, twin].join(" ");
  if (!group.hops.has(key)) group.hops.set(key, {a, b, source: wire.a, points: []});
  wire.hops.push(group.hops.get(key));
}

function operations(row) {
  return row.leaf ? 0 : row.spans - row.leaves;
}

function rowsOf(group) {
  const rows = [];
  for (const member of group.members)
    if (typeof member === "number") rows.push(member);
    else rows.push(...rowsOf(member));
  return rows;
}

function curve(points, down) {
  const n = (x) => String(Math.round(x * 10) / 10);
  let path = "M" + n(points[0][0]) + " " + n(points[0][1]);
  for (let i = 1; i < points.length; i++) {
    const [x0, y0] = points[i - 1], [x1, y1] = points[i];
    if (Math.abs(down ? x0 - x1 : y0 - y1) < 0.5) path += "L" + n(x1) + " " + n(y1);
    else if (down) {
      const m = n((y0 + y1) / 2);
      path += "C" + n(x0) + " " + m + " " + n(x1) + " " + m + " " + n(x1) + " " + n(y1);
    } else {
      const m = n((x0 + x1) / 2);
      path += "C" + m + " " + n(y0) + " " + m + " " + n(y1) + " " + n(x1) + " " + n(y1);
    }
  }
  return path;
}

/* ---- the tape's player ----------------------------------------------------------------------- */

/** Steps of the forward and of the backward pass: scalar by scalar where the page holds every edge
 * and they are not too many, else span by span. */
class Tape {
  constructor(graph) {
    this.graph = graph;
    this.scalar = graph.complete && graph.edgeCount <= 3000;
    this.steps = [];
    const rows = graph.byId, backward = graph.rows.some((row) => row.grad !== null);
    this.into = new Map();
    for (const [operand, user] of graph.links) push(this.into, user, graph.rows[operand]);
    for (const row of rows) if (!row.leaf) {
      if (!this.scalar) this.steps.push({kind: "forward", row});
      else for (let k = 0; k < row.n; k++) this.steps.push({kind: "forward", row, id: row.id + k});
    }
    this.forward = this.steps.length;
    if (backward) this.addBackward(rows);
    this.end = this.steps.length ? this.steps.length + 1 : 0; // one further than the last step
    this.at = this.end;
    this.replay();
  }

  addBackward(rows) {
    const sums = new Map();
    for (const r of this.graph.data.roots) {
      const row = this.graph.rows[r], asked = this.graph.data.rootNodes;
      if (!this.scalar) this.steps.push({kind: "seed", row});
      else for (let k = 0; k < row.n; k++) {
        const id = row.id + k, grad = this.graph.grad(id);
        if (asked.length && !asked.includes(id)) continue;
        this.steps.push({kind: "seed", row, id, after: grad});
        sums.set(id, grad);
      }
    }
    for (const row of [...rows].reverse()) {
      if (row.leaf || row.grad === null) continue;
      if (this.scalar) for (let k = row.n - 1; k >= 0; k--) this.addScalar(row.id + k, sums);
      else for (const operand of this.into.get(row.index) || [])
        if (operand.grad !== null) this.steps.push({kind: "add", row, operand});
    }
  }

  addScalar(id, sums) {
    const grad = this.graph.grad(id);
    for (const edge of this.graph.operands(id)) {
      if (!edge.flows || this.graph.grad(edge.operand) === null) continue;
      const before = sums.get(edge.operand) || 0, gain = edge.local * grad;
      sums.set(edge.operand, before + gain);
      this.steps.push({kind: "add", row: this.graph.rowOf(id), id, edge, grad, gain, before,
        after: before + gain});
    }
  }

  get ended() { return this.at >= this.end; }

  get now() { return this.at > 0 && !this.ended ? this.steps[this.at - 1] : null; }

  go(at) {
    this.at = Math.min(Math.max(at, 0), this.end);
    this.replay();
  }

  replay() {
    this.made = new Set();
    this.sums = new Map();
    this.doneRows = new Set();
    for (const step of this.steps.slice(0, this.at)) {
      if (step.kind === "forward") this.made.add(this.scalar ? step.id : step.row.index);
      else if (this.scalar) this.sums.set(step.kind === "seed" ? step.id : step.edge.operand, step.after);
      else this.doneRows.add((step.operand || step.row).index);
    }
  }

  value(id) {
    if (this.ended) return this.graph.value(id);
    const row = this.graph.rowOf(id);
    if (row.leaf || this.made.has(this.scalar ? id : row.index)) return this.graph.value(id);
    return undefined;
  }

  grad(id) {
    if (this.ended) return this.graph.grad(id);
    const row = this.graph.rowOf(id);
    if (row.grad === null) return null;
    if (this.scalar) return this.at > this.forward ? this.sums.get(id) || 0 : null;
    return this.doneRows.has(row.index) ? this.graph.grad(id) : null;
  }

  hasRow(row) {
    if (this.ended || row.leaf) return true;
    if (!this.scalar) return this.made.has(row.index);
    return this.made.has(row.id + row.n - 1);
  }

  rowHasGrad(row) {
    if (this.ended) return true;
    if (!this.scalar) return this.doneRows.has(row.index);
    return this.sums.has(row.id) || this.sums.has(row.id + row.n - 1);
  }

  /** The step in words and numbers. */
  text() {
    const step = this.now, g = this.graph;
    if (this.ended) return this.steps.length ? "after both passes" : "";
    if (!step) return "before the forward pass: the leaves";
    if (step.kind === "seed") {
      const name = step.id ? g.label(step.id) : step.row.title;
      return "backward starts: " + name + ".grad = " + (step.id ? number(step.after) : "1.0");
    }
    if (step.kind === "forward") {
      if (!this.scalar && step.row.spans > 1) return count(step.row.spans) + " operations, #" + step.row.id +
        " to #" + step.row.last + (step.row.caption ? ": " + step.row.caption : "");
      const known = step.row.scalar && g.operands(step.row.id);
      if (!this.scalar && !known) return step.row.title + " = " + step.row.op + ": " + count(step.row.n) +
        (step.row.n === 1 ? " node" : " nodes");
      const id = this.scalar ? step.id : step.row.id, operands = g.operands(id).map((e) => e.operand);
      const values = operands.every((o) => g.has(o)) ?
        " = " + written(step.row, operands.map((o) => number(g.value(o)))) : "";
      const made = written(step.row, operands.map((o) => g.label(o)));
      const title = g.label(id) === made ? "" : g.label(id) + " = ";
      return title + made + values + " = " + number(g.value(id));
    }
    if (step.edge) {
      const o = held(g.label(step.edge.operand)), u = held(g.label(step.id));
      return o + ".grad += \u2202" + u + "/\u2202" + o + " \u00b7 " + u + ".grad = " +
        number(step.edge.local) + " \u00d7 " + number(step.grad) + " = " + number(step.gain) +
        "   (" + number(step.before) + " \u2192 " + number(step.after) + ")";
    }
    return this.rowText(step);
  }

  /** A step of whole tensors: with the line of one scalar's ledger, the largest that is known. */
  rowText(step) {
    const g = this.graph, whole = step.operand.title + ".grad += its part through " + step.row.title;
    let best = null;
    for (const id of g.shown(step.operand, 64)) {
      const grad = g.grad(id);
      if (grad !== null && (best === null || Math.abs(grad) > Math.abs(g.grad(best)))) best = id;
    }
    const uses = best === null ? null : g.uses(best);
    if (!uses || g.missing(best, "uses")) return whole;
    const here = uses.filter((e) => g.rowOf(e.user) === step.row);
    if (!here.length) return whole;
    const gains = here.map((e) => number(e.local) + " \u00d7 " + number(e.userGrad));
    const sum = here.reduce((total, e) => total + e.local * e.userGrad, 0);
    const shown = gains.slice(0, 2).join(" + ") + (gains.length > 2 ?
      " + \u2026 (" + gains.length + " terms)" : "");
    const name = g.label(best), place = name.startsWith(step.operand.title + "[") ?
      name.slice(step.operand.title.length) : name + ".grad";
    return whole + ": " + place + " += " + shown + " = " + number(sum);
  }
}

/** A name that is an expression, as "a \u00b7 b", in brackets. */
function held(name) {
  return / [^\s\w] /.test(name) ? "(" + name + ")" : name;
}

/** An operation as it is written: a \u00d7 b, tanh(n). */
function written(row, operands) {
  const wrap = (text) => (/^\u2212|\u2212\d/.test(text) && operands.length > 1 ? "(" + text + ")" : text);
  if (["add", "sub", "mul", "div"].includes(row.op) && operands.length === 2) {
    const [a, b] = row.op === "add" ? operands : operands.map(held);
    return a + " " + row.pill + " " + wrap(b);
  }
  if (["add_scalar", "sub_scalar", "mul_scalar", "div_scalar"].includes(row.op))
    return held(operands[0]) + " " + row.pill[0] + " " + row.pill.slice(1);
  if (row.op === "pow_scalar") return "(" + operands[0] + ")" + row.pill.slice(1);
  const most = 4, list = operands.slice(0, most).join(", ");
  return row.op + "(" + list + (operands.length > most ? ", \u2026" : "") + ")";
}

/* ---- the drawing ----------------------------------------------------------------------------- */

class Drawing {
  constructor(host, data) {
    this.page = data; // of the whole page; `data` is of what is shown
    this.outer = []; // what is around an opened scalar, from the outside
    this.take(data);
    host.textContent = "";
    const shadow = host.attachShadow({mode: "open"});
    shadow.append(make("style", {}, this.page.css));
    this.build(shadow);
    host.rnnDrawing = this;
    this.watchTheme();
    this.layOut();
    this.resized();
    new ResizeObserver(() => requestAnimationFrame(() => this.resized())).observe(this.stage);
  }

  /** Shows other data: the graph, or the operations within a scalar. */
  take(data) {
    this.data = data;
    this.graph = new Graph(data);
    this.tape = new Tape(this.graph);
    this.corners = new Map();
    this.state = {
      down: data.down || false, open: new Set(data.open),
      rows: new Map(data.openRows.map((i) => [i, NUMBERS])),
      around: new Map(), // of a row that shows some of its scalars: the one that they stand around
      corner: (row) => this.corners.get(row.index) || [0, 0],
    };
    this.selected = null; // {id}, {row} or {group}
    this.trail = []; // the paths that are marked
    this.k = 1;
    this.x = this.y = 0;
  }

  /** Goes into a scalar of a fused operation. */
  enter(id) {
    this.stop();
    const kept = {};
    for (const key of ["data", "graph", "tape", "corners", "state", "selected", "k", "x", "y", "fitted"])
      kept[key] = this[key];
    this.outer.push(kept);
    this.take(this.page.insides[id]);
    this.arrive();
  }

  /** Comes out again. */
  leave() {
    if (!this.outer.length) return;
    this.stop();
    Object.assign(this, this.outer.pop());
    const selected = this.selected;
    this.arrive(true);
    if (selected) this.select(selected);
  }

  arrive(asBefore) {
    this.back.hidden = !this.outer.length;
    this.summary.textContent = this.data.summary;
    this.slider.max = this.tape.end;
    this.writeTrack();
    this.layOut();
    this.writePanel();
    if (!asBefore) this.fit();
    this.step(this.tape.at);
    this.stage.focus({preventScroll: true});
  }

  /* -- the parts of the page -- */

  build(shadow) {
    const button = (text, label, act) =>
      make("button", {type: "button", title: label, "aria-label": label, onclick: act}, text);
    this.search = make("input", {type: "search", placeholder: "search: name, op, #id, w[0, 1]   /",
      "aria-label": "Search by name, operation or node", autocomplete: "off", spellcheck: "false"});
    this.found = make("div", {class: "found", role: "listbox", "aria-label": "Search results", hidden: ""});
    this.search.addEventListener("input", () => this.look());
    this.search.addEventListener("keydown", (event) => this.searchKey(event));
    this.back = button("\u2190 Back", "Back to the graph (Esc)", () => this.leave());
    this.back.hidden = true;
    this.summary = make("span", {class: "summary"}, this.data.summary);
    this.bar = make("div", {class: "topbar"}, this.back,
      make("div", {class: "searchbox"}, this.search, this.found), this.summary,
      make("span", {class: "buttons"},
        button("\u2212", "Zoom out (\u2212)", () => this.zoom(1 / 1.25)),
        button("+", "Zoom in (+)", () => this.zoom(1.25)),
        button("Fit", "Fit to the page (0)", () => this.fit()),
        button("\u21c4", "Turn the drawing (r)", () => this.turn()),
        button("\u25d0", "Light or dark (t)", () => this.setTheme(!this.dark)),
        button("?", "Keys (?)", () => this.help())));
    this.canvas = svg("g", {});
    this.layers = {};
    for (const name of ["groups", "wires", "boxes", "labels", "over"])
      this.canvas.append(this.layers[name] = svg("g", {class: name}));
    this.stage = svg("svg", {class: "stage", role: "application", tabindex: "0",
      "aria-label": this.data.summary + ". Arrow keys move, Enter opens, slash searches."}, this.canvas);
    this.panel = make("aside", {class: "panel", "aria-label": "Details", hidden: ""});
    this.slider = make("input", {type: "range", min: 0, max: this.tape.end,
      value: this.tape.at, "aria-label": "Step of the forward and backward pass"});
    this.slider.addEventListener("input", () => this.step(Number(this.slider.value)));
    this.playButton = button("\u25b6", "Play (space)", () => this.play());
    this.said = make("output", {class: "said", "aria-live": "polite"});
    this.passes = make("span", {class: "passes", "aria-hidden": "true"});
    this.foot = make("div", {class: "foot"},
      button("\u00ab", "To the beginning", () => this.step(0)),
      button("\u2039", "A step back (,)", () => this.step(this.tape.at - 1)),
      this.playButton,
      button("\u203a", "A step forward (.)", () => this.step(this.tape.at + 1)),
      button("\u00bb", "To the end", () => this.step(this.tape.end)),
      make("div", {class: "track"}, this.slider, this.passes), this.said);
    this.legend = make("div", {class: "legend", "aria-hidden": "true"});
    this.root = make("div", {class: "rnn app" + (this.page.standalone ? " standalone" : "")},
      this.bar, make("div", {class: "middle-part"}, this.stage, this.legend, this.panel), this.foot);
    this.writeTrack();
    shadow.append(this.root);
    this.listen();
  }

  /** The legend and the two passes below the slider. */
  writeTrack() {
    const steps = this.tape.steps.length, {forward} = this.tape;
    this.foot.hidden = !steps;
    this.passes.textContent = this.legend.textContent = "";
    for (const [name, size] of [["forward", forward], ["backward", steps - forward]])
      if (size) this.passes.append(make("i", {style: "flex:" + size}, name));
    this.legend.append(this.data.nodes <= 200 ? "value | gradient" : "values, gradients");
    if (!this.graph.largest) return;
    const scale = make("span", {class: "scale"});
    for (let i = 0; i < 12; i++) {
      const t = (i - 5.5) / 5.5;
      scale.append(make("i", {class: t > 0 ? "p" : "n", style: "opacity:" + Math.abs(t) ** 0.8}));
    }
    this.legend.append(make("span", {}, MINUS + number(this.graph.largest)), scale,
      make("span", {}, "+" + number(this.graph.largest)));
  }

  /* -- drawing -- */

  /** Lays out anew what is open now, and draws it. */
  layOut(keep) {
    const anchor = keep && this.anchor(keep);
    this.view = new View(this.graph, this.state);
    this.byKey = new Map(this.view.items.map((item) => [item.key, item]));
    if (anchor) {
      const item = this.byKey.get(keep);
      if (item) {
        this.x += anchor[0] - (item.x * this.k + this.x);
        this.y += anchor[1] - (item.y * this.k + this.y);
      }
    }
    this.redraw();
  }

  anchor(key) {
    const item = this.byKey && this.byKey.get(key);
    return item && [item.x * this.k + this.x, item.y * this.k + this.y];
  }

  /** Draws everything anew: values may have changed. */
  redraw() {
    for (const layer of Object.values(this.layers)) layer.textContent = "";
    this.drawn = new Map();
    this.drawnWires = new Map();
    this.place();
  }

  /** Moves the page's window over the drawing, and draws what has come into it. */
  place() {
    this.canvas.setAttribute("transform",
      "translate(" + this.x + " " + this.y + ") scale(" + this.k + ")");
    const {width: w, height: h} = this.size(), view = this.view;
    const left = -this.x / this.k - 400, top = -this.y / this.k - 400;
    const right = (w - this.x) / this.k + 400, bottom = (h - this.y) / this.k + 400;
    const all = view.items.length + view.wires.length < 1500;
    for (const item of view.items) {
      if (item === view.top) continue;
      const inside = all || (item.x < right && item.x + item.w + 220 > left && item.y < bottom &&
        item.y + item.h + 60 > top);
      if (inside && !this.drawn.has(item.key)) this.drawBox(item);
      else if (!inside && this.drawn.has(item.key)) {
        for (const part of this.drawn.get(item.key)) part.remove();
        this.drawn.delete(item.key);
      }
    }
    for (const [i, wire] of view.wires.entries()) {
      const [x0, y0] = wire.points[0], [x1, y1] = wire.points[wire.points.length - 1];
      const inside = all || (Math.min(x0, x1) < right && Math.max(x0, x1) > left &&
        Math.min(y0, y1) < bottom && Math.max(y0, y1) > top);
      if (inside && !this.drawnWires.has(i)) this.drawWire(i, wire);
      else if (!inside && this.drawnWires.has(i)) {
        for (const part of this.drawnWires.get(i)) part.remove();
        this.drawnWires.delete(i);
      }
    }
    this.overlay();
  }

  size() {
    const box = this.stage.getBoundingClientRect();
    return {width: box.width || 900, height: box.height || 500};
  }

  /** What the panel leaves of it: it lies at the right, on a narrow page at the bottom. */
  free() {
    const {width: w, height: h} = this.size();
    if (this.panel.hidden) return {width: w, height: h};
    const {offsetWidth: wide, offsetHeight: high} = this.panel;
    return wide > 0.7 * w ? {width: w, height: Math.max(h - high, 60)} : {width: w - wide, height: h};
  }

  drawBox(item) {
    const [x, y] = this.view.card(item);
    const open = item.children.length > 0 || item.scalars;
    const g = svg("g", {class: "box" + (open ? " holder" : ""), role: "button", tabindex: "-1",
      "data-key": item.key, "aria-label": this.describe(item)});
    g.append(svg("title", {}, this.describe(item)));
    const parts = [g];
    if (open) parts.push(this.drawHolder(g, item));
    else {
      if (item.pill) this.drawBubble(g, item);
      if (item.group) this.drawGroup(g, item, x, y);
      else {
        const root = this.data.roots.includes(item.row.index) && item.node !== null;
        g.append(rect(x, y, item.w, item.h, 9, "card" + (root ? " root" : "")));
        if (item.node !== null) this.drawScalar(g, item, x, y);
        else if (item.open) this.drawGrid(g, item, x, y);
        else this.drawRow(g, item, x, y);
      }
    }
    if (this.isSelected(item)) g.classList.add("selected");
    if (this.isNow(item)) g.classList.add("now");
    if (this.trail.some((path) => path.keys.has(item.key))) g.classList.add("onpath");
    g.addEventListener("click", (event) => this.clicked(event, item));
    g.addEventListener("dblclick", () => this.toggle(item));
    this.layers[open ? "groups" : "boxes"].append(g);
    this.drawn.set(item.key, parts);
  }

  describe(item) {
    if (item.group) return item.title + ", " + (item.open ? "open" : "folded") + ", " + item.note;
    if (item.node !== null)
      return item.title + ", " + item.row.op + ", value " + exact(this.graph.value(item.node)) +
        ", gradient " + exact(this.graph.grad(item.node));
    return item.title + ", " + item.row.op + ", shape " + item.row.shape.join(" by ") +
      (item.row.line ? ", " + item.row.line : "");
  }

  drawHolder(g, item) {
    const title = shorten(item.title, item.w - 42, 13 * BOLD);
    const taken = width(title, 13 * BOLD), note = !item.scalars ? item.note
      : item.row.n > item.children.length ? item.children.length + " of " + count(item.row.n) : "";
    g.append(rect(item.x, item.y, item.w, item.h, 12, "group"));
    this.sign(g, item, item.x + item.w - 22, item.y + 8, "\u2212");
    const head = svg("g", {class: "heads"}, text(item.x + 14, item.y + 20, title, "title head"));
    if (note && taken + width(note, 11) < item.w - 70)
      head.append(text(item.x + item.w - 30, item.y + 20, note, "note head end"));
    this.layers.labels.append(head); // above the edges that pass
    return head;
  }

  /** The sign that opens or folds. */
  sign(g, item, x, y, glyph) {
    const made = svg("g", {class: "sign-button"}, rect(x, y, 14, 14, 4, "toggle"),
      text(x + 7, y + 11, glyph, "tiny middle"));
    made.append(svg("title", {}, glyph === "+" ? "Open (Enter)" : "Fold (Enter)"));
    made.addEventListener("click", (event) => {
      event.stopPropagation();
      this.toggle(item);
    });
    g.append(made);
  }

  drawBubble(g, item) {
    const [x, y] = this.view.bubbleAt(item), left = x - item.pillW / 2, half = PILL_H / 2;
    const stem = this.view.down ? [x, y + half, x, y + half + STEM]
      : [left + item.pillW, y, left + item.pillW + STEM, y];
    const isSign = "+\u2212\u00d7\u00f7\u00b1\u03a3\u221a".includes(item.pill);
    g.append(path("M" + stem[0] + " " + stem[1] + "L" + stem[2] + " " + stem[3], "stem"),
      rect(left, y - half, item.pillW, PILL_H, half, "bubble"),
      text(x, y + (isSign ? 5.5 : 4.5), item.pill, (isSign ? "glyph sign" : "glyph") + " middle"));
  }

  title(item, x, y, room) {
    const name = item.title;
    if (name.length <= 3 && /^\p{L}[^.]*$/u.test(name)) return text(x, y + 1, name, "math");
    return text(x, y, shorten(name, room, 13 * BOLD), "title");
  }

  drawScalar(g, item, x, y) {
    const value = this.tape.value(item.node), grad = this.tape.grad(item.node);
    const middle = x + item.w / 2, rule = y + 25, bottom = y + item.h, right = x + item.w;
    this.tint(g, "M" + middle + " " + rule + "H" + right + "V" + (bottom - 9) + "q0 9 -9 9H" + middle +
      "Z", grad, 0.42);
    const note = shorten(item.note, item.w - 30, 11), room = item.w / 2 - 6;
    g.append(path("M" + x + " " + rule + "H" + right + "M" + middle + " " + rule + "V" + bottom, "rule"),
      this.title(item, x + 10, y + 17, item.w - 20 - width(note, 11)));
    if (note) g.append(text(right - 10, y + 17, note, "note end"));
    g.append(text(x + item.w / 4, rule + 19.5, value === undefined ? "\u00b7" : fitting(value, room, 14),
      "value middle"), text(x + item.w * 3 / 4, rule + 19.5, fitting(grad, room, 14),
      ink(grad) + " grad middle"));
  }

  drawRow(g, item, x, y) {
    const row = item.row, inner = item.w - 2 * PAD, made = this.tape.hasRow(row);
    const back = this.tape.rowHasGrad(row);
    if (row.spans > 1) g.append(this.title(item, x + PAD, y + 18, inner),
      text(x + PAD, y + 33, shorten(item.note, inner, 11), "note"),
      text(x + PAD, y + 46, shorten(row.caption, inner, 10), "tiny"));
    else {
      g.append(this.title(item, x + PAD, y + 18, inner - width(item.note, 11) - 24),
        text(x + item.w - PAD - 18, y + 18, item.note, "note end"));
      this.sign(g, item, x + item.w - PAD - 12, y + 7, "+");
      if (made) g.append(bars(row.bins || [], x + PAD, y + 27, inner, 20));
    }
    this.strip(g, back ? row.strip : null, x + PAD, y + 51, inner, 9);
    g.append(text(x + PAD, y + 75, made ? "|x| \u2264 " + number(row.value) : "\u00b7", "tiny"),
      text(x + item.w - PAD, y + 75, back ? most(row.grad) : "", "tiny end"));
  }

  drawGrid(g, item, x, y) {
    const row = item.row, inner = item.w - 2 * PAD;
    g.append(this.title(item, x + PAD, y + 18, inner - width(item.note, 11) - 24),
      text(x + item.w - PAD - 18, y + 18, item.note, "note end"));
    this.sign(g, item, x + item.w - PAD - 12, y + 7, "\u2212");
    const cells = this.view.cells(item);
    if (!cells.length) g.append(text(x + PAD, y + HEAD + 18, "not in this page", "note"));
    for (const cell of cells) {
      const value = this.tape.value(cell.id), grad = this.tape.grad(cell.id);
      const box = "M" + cell.x + " " + cell.y + "h" + cell.w + "v" + cell.h + "h" + -cell.w + "Z";
      const c = svg("g", {class: "cell", "data-node": cell.id});
      c.append(svg("title", {}, this.graph.label(cell.id) + " = " + exact(this.graph.value(cell.id)) +
        ", gradient " + exact(this.graph.grad(cell.id))), path(box, "cell-face"));
      this.tint(c, box, grad, 0.42);
      c.append(path(box, "rule"));
      const middle = cell.label ? cell.x + cell.w * 0.72 : cell.x + cell.w / 2;
      if (cell.label) c.append(text(cell.x + 6, cell.y + 21, shorten(cell.label, cell.w * 0.46, 10), "tiny"));
      c.append(text(middle, cell.y + 15, value === undefined ? "\u00b7" :
        fitting(value, cell.w - 4, 12, 3), "small middle"),
        text(middle, cell.y + 28, fitting(grad, cell.w - 4, 10, 3), "tiny " + ink(grad) + " middle"));
      if (this.selected && this.selected.id === cell.id) c.classList.add("picked");
      c.addEventListener("click", (event) => {
        event.stopPropagation();
        this.select({id: cell.id});
      });
      g.append(c);
    }
    this.pager(g, item);
  }

  /** Arrows to the other parts of a tensor that is larger than its grid. */
  pager(g, item) {
    const row = item.row;
    if (row.dense < 0) return;
    const [r, c] = this.state.corner(row), rows = Math.floor(row.n / Math.max(row.columns, 1));
    const move = (glyph, label, dr, dc, x, y) => {
      const made = svg("g", {class: "sign-button", role: "button", "aria-label": label},
        svg("title", {}, label), rect(x - 8, y - 8, 16, 16, 4, "toggle"), text(x, y + 4, glyph, "tiny middle"));
      made.addEventListener("click", (event) => {
        event.stopPropagation();
        this.corners.set(row.index, [r + dr, c + dc]);
        this.redraw();
      });
      g.append(made);
    };
    const [x, y] = this.view.card(item), middle = x + item.w / 2, level = y + HEAD + (item.h - HEAD) / 2;
    if (r > 0) move("\u25b4", "Rows above", -Math.min(GRID, r), 0, middle, y + HEAD);
    if (r + GRID < rows) move("\u25be", "Rows below", Math.min(GRID, rows - GRID - r), 0, middle, y + item.h);
    if (c > 0) move("\u25c2", "Columns before", 0, -Math.min(GRID, c), x, level);
    if (c + GRID < row.columns)
      move("\u25b8", "Columns after", 0, Math.min(GRID, row.columns - GRID - c), x + item.w, level);
  }

  drawGroup(g, item, x, y) {
    const rows = rowsOf(item.group).map((i) => this.graph.rows[i]);
    const seen = rows.filter((row) => row.grad !== null && this.tape.rowHasGrad(row)).map((row) => row.grad);
    const inner = item.w - 2 * PAD;
    g.append(rect(x + 6, y + 6, item.w, item.h, 9, "behind"), rect(x + 3, y + 3, item.w, item.h, 9, "behind"),
      rect(x, y, item.w, item.h, 9, "card"), this.title(item, x + PAD, y + 19, inner - 20),
      text(x + PAD, y + 36, item.note, "note"));
    this.strip(g, profile(seen), x + PAD, y + 44, inner, 7);
    const largest = seen.length ? most(Math.max(...seen)) : this.tape.ended ? most(null) : "";
    g.append(text(x + item.w - PAD, y + 63, largest, "tiny end"),
      text(x + PAD, y + 63, "folded", "tiny"));
    this.sign(g, item, x + item.w - PAD - 12, y + 7, "+");
  }

  strip(g, grads, x, y, w, h) {
    if (!grads || !grads.length) {
      g.append(path("M" + x + " " + (y + h / 2) + "h" + w, "rule"));
      return;
    }
    const step = w / grads.length;
    g.append(path("M" + x + " " + y + "h" + w + "v" + h + "h" + -w + "Z", "rule"));
    grads.forEach((grad, i) => this.tint(g, "M" + (x + i * step) + " " + y + "h" + step + "v" + h + "h" +
      -step + "Z", grad, 0.95));
  }

  strength(grad) {
    const largest = this.graph.largest;
    if (!(largest > 0) || !grad) return 0;
    if (largest === Infinity) return Math.abs(grad) === largest ? 1 : 0.3;
    return Math.min(1, Math.cbrt(Math.abs(grad) / largest));
  }

  tint(g, d, grad, strongest) {
    if (grad === null || grad === undefined || grad === 0) return;
    if (grad !== grad) {
      g.append(svg("path", {class: "bad", "fill-opacity": 0.3, d}));
      return;
    }
    g.append(svg("path", {class: grad > 0 ? "pos" : "neg", d,
      "fill-opacity": (strongest * this.strength(grad)).toFixed(3)}));
  }

  /** What an edge adds to its operand's gradient at this step: null where that is not known. */
  gain(wire) {
    if (!wire.edge || !this.tape.ended) return null;
    if (!wire.edge.flows) return 0;
    const grad = this.graph.grad(wire.edge.user);
    return grad === null || grad !== grad ? null : wire.edge.local * grad;
  }

  drawWire(i, wire) {
    const d = curve(wire.points, this.view.down), gain = this.gain(wire), parts = [];
    const attributes = {class: "wire", d, "stroke-width": 1.5 + Math.min(1.5, 0.25 * (wire.links.length - 1))};
    if (gain !== null) {
      attributes.class += gain > 0 ? " pos" : gain < 0 ? " neg" : " dead";
      attributes["stroke-width"] = 1.4 + 2.6 * this.strength(gain);
      attributes["stroke-opacity"] = 0.35 + 0.5 * this.strength(gain);
    }
    if (this.isNowWire(wire)) attributes.class += " lit";
    const rank = this.trail.findIndex((path) => path.wires.has(wire));
    if (rank >= 0) {
      parts.push(svg("path", {class: "wire trail", d, "stroke-width": rank === 0 ? 9 : 7,
        "stroke-opacity": rank === 0 ? 0.38 : 0.2}));
    }
    parts.push(svg("path", attributes));
    for (const part of parts) this.layers.wires.append(part);
    const label = this.view.labels.get(i);
    if (label) {
      parts.push(text(label.x, label.y, label.says, "local " + label.anchor));
      this.layers.labels.append(parts[parts.length - 1]);
    }
    this.drawnWires.set(i, parts);
  }

  /** Edges of the selected scalar to the very numbers that they come from and go to. */
  overlay() {
    const over = this.layers.over;
    over.textContent = "";
    for (const cell of this.layers.boxes.querySelectorAll(".cell.linked")) cell.classList.remove("linked");
    if (!this.selected || !this.selected.id) return;
    const id = this.selected.id, pairs = [];
    for (const e of this.graph.operands(id) || []) pairs.push([e.operand, id, e.local]);
    for (const e of this.graph.uses(id) || []) if (e.userGrad !== 0) pairs.push([id, e.user, e.local]);
    const ends = new Set(pairs.flatMap(([from, to]) => [String(from), String(to)]));
    for (const cell of this.layers.boxes.querySelectorAll(".cell"))
      cell.classList.toggle("linked", ends.has(cell.dataset.node));
    for (const [from, to] of pairs.slice(0, 200)) {
      const cellFrom = this.view.cellOf(from), cellTo = this.view.cellOf(to);
      if (!cellFrom && !cellTo) continue;
      const start = this.spot(from, cellFrom, true), end = this.spot(to, cellTo, false);
      if (!start || !end) continue;
      over.append(svg("path", {class: "wire lit", d: curve([start, end], this.view.down),
        "stroke-width": 1.4}));
    }
  }

  spot(id, cell, leaving) {
    const down = this.view.down, item = this.view.itemOf(id);
    if (!item) return null;
    const [x, y] = this.view.card(item);
    if (cell) { // at the edge of its tensor's box: no line crosses other numbers
      const across = down ? cell[0] + cell[2] / 2 : cell[1] + cell[3] / 2;
      return down ? [across, leaving ? y + item.h : y] : [leaving ? x + item.w : x, across];
    }
    if (!leaving) return this.view.entry({b: item, twin: 0, points: [[x, y + item.h / 2]]});
    return down ? [x + item.w / 2, y + item.h] : [x + item.w, y + item.h / 2];
  }

  /* -- selecting and opening -- */

  isSelected(item) {
    const s = this.selected;
    if (!s) return false;
    if (s.group) return item.group === s.group;
    if (s.row) return item.row === s.row && item.node === null;
    return item.node === s.id || this.view.itemOf(s.id) === item;
  }

  isNow(item) {
    const step = this.tape.now;
    if (!step) return false;
    const here = (row, id) => (id !== undefined ? this.view.itemOf(id) === item
      : this.view.visible.get(row.index) === item);
    if (step.kind !== "add") return here(step.row, step.id);
    return step.edge ? here(null, step.edge.operand) || here(null, step.id)
      : here(step.operand) || here(step.row);
  }

  isNowWire(wire) {
    const step = this.tape.now;
    if (!step || step.kind === "seed") return false;
    if (step.kind === "forward") return step.id !== undefined ? this.view.itemOf(step.id) === wire.b
      : this.view.visible.get(step.row.index) === wire.b;
    if (!step.edge) return wire.a === this.view.visible.get(step.operand.index) &&
      wire.b === this.view.visible.get(step.row.index);
    if (wire.edge) return wire.edge.user === step.edge.user && wire.edge.operand === step.edge.operand &&
      wire.edge.local === step.edge.local;
    return wire.a === this.view.itemOf(step.edge.operand) && wire.b === this.view.itemOf(step.edge.user);
  }

  clicked(event, item) {
    if (this.dragged) return;
    event.stopPropagation();
    this.select(this.targetOf(item));
    this.stage.focus({preventScroll: true});
  }

  targetOf(item) {
    if (item.group) return {group: item.group};
    return item.node !== null ? {id: item.node} : {row: item.row};
  }

  select(target) {
    this.selected = target;
    this.trail = [];
    if (target && target.id) this.markPaths(this.graph.paths(target.id, 3));
    this.redraw();
    this.writePanel();
  }

  markPaths(paths) {
    const taken = new Set(); // of two edges between two scalars each path has its own
    this.trail = paths.map((path) => {
      const keys = new Set(), wires = new Set();
      path.nodes.forEach((id) => {
        const item = this.view.itemOf(id);
        if (item) keys.add(item.key);
      });
      for (let i = 1; i < path.nodes.length; i++) {
        const a = this.view.itemOf(path.nodes[i - 1]), b = this.view.itemOf(path.nodes[i]);
        const between = this.view.wires.filter((wire) => wire.a === a && wire.b === b);
        const wire = between.find((w) => !taken.has(w)) || between[0];
        if (wire) wires.add(wire);
      }
      for (const wire of wires) taken.add(wire);
      return {...path, keys, wires};
    });
  }

  /** Opens what is folded: a group to its members, a tensor to its numbers, then to its scalars. */
  toggle(item) {
    if (item.group) {
      const {open} = this.state, id = item.group.id;
      if (open.has(id)) open.delete(id);
      else open.add(id);
      this.opened("g" + id);
      return;
    }
    const row = item.row;
    if (!row || row.scalar || row.spans > 1) return;
    const mode = this.state.rows.get(row.index) || FOLDED;
    this.setMode(row, mode === FOLDED ? NUMBERS : FOLDED);
  }

  setMode(row, mode) {
    this.state.rows.set(row.index, mode);
    this.opened("r" + row.index);
  }

  /** Opens a tensor to its scalars where one of them is in sight. */
  openAround(id, row) {
    this.state.rows.set(row.index, SCALARS);
    this.reveal({id});
  }

  opened(key) {
    this.layOut(key);
    if (this.selected && this.selected.id) this.markPaths(this.graph.paths(this.selected.id, 3));
    const {fitted} = this;
    this.fitted = false;
    this.redraw();
    this.writePanel();
    if (!fitted) return;
    const k = this.scaleOf(this.view), item = this.byKey.get(key);
    if (!item || k > 0.8 * Math.min(this.k, READABLE)) this.fit();
    else { // all of it would be too small to be read
      this.k = Math.max(this.k, READABLE);
      this.bringToSight(item);
    }
  }

  /** Opens all that hides a row, a group or a scalar; then selects it and brings it into sight. */
  reveal(target) {
    const row = target.id ? this.graph.rowOf(target.id) : target.row;
    const walk = (group) => {
      if (group === target.group) return true;
      for (const member of group.members) {
        if (typeof member === "number" ? row && member === row.index : walk(member)) {
          if (group !== this.data.tree) this.state.open.add(group.id);
          return true;
        }
      }
      return false;
    };
    walk(this.data.tree);
    if (target.id && !row.scalar && this.graph.has(target.id)) {
      const mode = this.state.rows.get(row.index);
      if (!mode) this.state.rows.set(row.index, NUMBERS);
      if (mode === SCALARS) {
        if (!this.view.nodes.has(target.id)) this.state.around.set(row.index, target.id);
      } else if (row.dense >= 0) {
        const k = target.id - row.id, r = Math.floor(k / row.columns), c = k % row.columns;
        const rows = Math.floor(row.n / row.columns), [r0, c0] = this.state.corner(row);
        if (r < r0 || r >= r0 + GRID || c < c0 || c >= c0 + GRID) this.corners.set(row.index,
          [Math.max(0, Math.min(r - 3, rows - GRID)), Math.max(0, Math.min(c - 3, row.columns - GRID))]);
      }
    }
    this.layOut();
    this.select(target);
    const item = target.id ? this.view.itemOf(target.id)
      : row ? this.view.visible.get(row.index) : this.byKey.get("g" + target.group.id);
    if (item) this.bringToSight(item);
  }

  bringToSight(item) {
    if (this.fitted) {
      this.fit();
      if (this.k > 0.6) return undefined;
      this.k = 0.9;
    }
    this.fitted = false;
    const {width: room, height: h} = this.free();
    this.x = room / 2 - (item.x + item.w / 2) * this.k;
    this.y = h / 2 - (item.y + item.h / 2) * this.k;
    this.place();
    return undefined;
  }

  /* -- the panel -- */

  writePanel() {
    const s = this.selected;
    this.panel.textContent = "";
    const {height: before} = this.free(), turned = this.panel.hidden === Boolean(s);
    this.panel.hidden = !s;
    if (s) {
      this.panel.append(make("button", {type: "button", class: "close", "aria-label": "Close (Esc)",
        title: "Close (Esc)", onclick: () => this.select(null)}, "\u00d7"));
      if (s.group) this.groupPanel(s.group);
      else if (s.row) this.rowPanel(s.row);
      else this.nodePanel(s.id);
    }
    if (this.fitted && (turned || this.free().height !== before)) this.fit();
  }

  facts(...pairs) {
    const list = make("dl", {});
    for (const [name, value] of pairs) if (value !== null && value !== undefined && value !== "")
      list.append(make("dt", {}, name), make("dd", {}, value));
    this.panel.append(list);
  }

  action(label, act) {
    const acted = () => {
      act();
      this.stage.focus({preventScroll: true}); // the button is gone with its panel
    };
    return make("button", {type: "button", class: "act", onclick: acted}, label);
  }

  link(id) {
    return make("button", {type: "button", class: "node", title: "node " + id,
      onclick: () => this.reveal({id})}, this.graph.label(id));
  }

  /** Says how a scalar that this page does not hold is drawn: the call, to be copied. */
  how(id) {
    const root = this.graph.rows[this.data.roots[0]];
    const whole = root && (!this.data.rootNodes.length || this.data.rootNodes.length === root.n);
    const name = whole && /^[A-Za-z_]\w*$/.test(root.title) ? root.title : "loss";
    const code = make("code", {}, "rnn.show(" + name + ", focus=[" + (id || "\u2026") + "])");
    const copy = make("button", {type: "button", onclick: () => {
      const done = () => { copy.textContent = "Copied"; };
      const select = () => getSelection().selectAllChildren(code);
      if (navigator.clipboard) navigator.clipboard.writeText(code.textContent).then(done, select);
      else select();
    }}, "Copy");
    this.panel.append(make("div", {class: "how"}, code, id ? copy : null));
  }

  groupPanel(group) {
    const rows = rowsOf(group).map((i) => this.graph.rows[i]);
    const open = this.state.open.has(group.id), item = this.byKey.get("g" + group.id);
    this.panel.append(make("h2", {}, group.name));
    this.facts(["kind", group.kind === "run" ? "a stretch of the tape" : / calls of /.test(group.kind) ? group.kind
      : "one call of " + group.kind],
      ["operations", count(rows.reduce((sum, row) => sum + operations(row), 0))],
      ["scalar nodes", count(rows.reduce((sum, row) => sum + row.n, 0))],
      ["largest |gradient|", number(rows.reduce((m, row) => row.grad !== null && row.grad > m ? row.grad : m, 0))]);
    if (item) this.panel.append(this.action(open ? "Fold" : "Open", () => this.toggle(item)));
    const list = make("div", {class: "list"});
    for (const row of rows.slice(0, 60)) list.append(make("button", {type: "button", class: "node",
      onclick: () => this.reveal(row.scalar ? {id: row.id} : {row})}, row.title + "  " + row.op));
    this.panel.append(make("h3", {}, "in it"), list);
  }

  rowPanel(row) {
    const mode = this.state.rows.get(row.index) || FOLDED, g = this.graph;
    if (row.spans > 1) return this.runPanel(row);
    this.panel.append(make("h2", {}, row.title));
    this.facts(["operation", row.op + (row.torch ? "  (" + row.torch + ")" : "")],
      ["shape", row.shape.join("\u00d7") || "scalar"], ["dtype", row.dtype],
      ["nodes", row.n === 0 ? "none" : row.n === 1 ? "#" + row.id : "#" + row.id + " \u2026 #" + (row.id + row.n - 1)],
      ["module", row.module], ["line", row.line], ["largest |value|", number(row.value)],
      ["largest |gradient|", number(row.grad)]);
    if (!row.n) return this.note("It has no elements.");
    const shown = g.shown(row, MOST_SCALARS);
    this.panel.append(
      this.action(mode === NUMBERS ? "Fold" : "Show numbers", () => this.setMode(row, mode === NUMBERS ? FOLDED : NUMBERS)),
      mode === SCALARS ? this.action("Fold", () => this.setMode(row, FOLDED))
        : shown.length ? this.action("Open to scalars", () => this.setMode(row, SCALARS)) : "");
    const by = [...(row.dense >= 0 ? Array.from({length: row.n}, (_, k) => row.id + k) : shown)]
      .filter((id) => g.grad(id)).sort((a, b) => Math.abs(g.grad(b)) - Math.abs(g.grad(a))).slice(0, 8);
    if (by.length) {
      this.panel.append(make("h3", {}, "largest gradients"));
      this.table(["scalar", "value", "gradient"], by.map((id) =>
        [this.link(id), number(g.value(id)), this.coloured(g.grad(id))]));
    }
    if (row.dense < 0) {
      this.note("This page holds " + shown.length + " of its " + count(row.n) + " scalars. Any other, " +
        (row.title.startsWith("#") ? "#" + row.id : row.title + "[" + row.shape.map(() => 0).join(", ") + "]") +
        " for one, can be searched for; its panel says how to draw it.");
    }
    return undefined;
  }

  /** A stretch of the tape. */
  runPanel(row) {
    this.panel.append(make("h2", {}, "#" + row.id + " \u2026 #" + row.last));
    this.facts(["a stretch of", row.note], ["scalar nodes", count(row.n)], ["operations", row.caption],
      ["module", row.module], ["largest |value|", number(row.value)], ["largest |gradient|", number(row.grad)]);
    this.note("The graph is large: this page holds these as one. Any of them can be drawn with all around " +
      "it, by its number:");
    this.how(row.id);
  }

  nodePanel(id) {
    const g = this.graph, row = g.rowOf(id), item = this.view.itemOf(id);
    this.panel.append(make("h2", {}, g.label(id)));
    if (g.within(id)) {
      this.facts(["in a stretch of", row.note + ", #" + row.id + " to #" + row.last], ["operations", row.caption]);
      this.note("The graph is large: this page does not hold this scalar apart. This draws it, with its " +
        "ledger and all around it:");
      this.how(id);
      return;
    }
    const held = g.has(id);
    this.facts(["value", held ? exact(g.value(id)) : null], ["gradient", held ? exact(g.grad(id)) : null],
      ["operation", row.op + (row.torch ? "  (" + row.torch + ")" : "")], ["node", "#" + id],
      ["index", row.shape.length ? "[" + g.index(id).join(", ") + "] of " + row.shape.join("\u00d7") : ""],
      ["module", row.module], ["line", row.line]);
    if (!held) {
      this.note("The graph is large: this page holds a part of its scalars, and not this one. This draws it, " +
        "with its ledger:");
      this.how(id);
      return;
    }
    if (!row.scalar && item && !item.scalars && this.state.rows.get(row.index) !== SCALARS)
      this.panel.append(this.action("Open the tensor to scalars", () => this.openAround(id, row)));
    const within = !this.outer.length && this.page.insides[id];
    if (within) this.panel.append(this.action("Open into " + within.summary.split(": ").pop(),
      () => this.enter(id)));
    else if (this.data.openable.includes(row.index) && !this.data.focus.includes(id)) {
      this.note("It stands for several scalar operations, which this page does not hold. This draws it with them:");
      this.how(id);
    }
    this.ledger(id);
    this.pathList(id);
    this.madeFrom(id, row);
  }

  ledger(id) {
    const g = this.graph, uses = g.uses(id), grad = g.grad(id);
    this.panel.append(make("h3", {}, "why this gradient"));
    if (grad === null) return this.note(g.rowOf(id).constant ? "It takes none: requires_grad is False."
      : "It has none: no backward pass has come here.");
    if (this.data.reasons[id]) this.note(this.data.reasons[id]);
    if (uses === null) {
      const said = this.panel.querySelector(".how");
      this.note("This page does not hold its uses. " + (said ? "What the call above draws does." : "This does:"));
      return said ? undefined : this.how(id);
    }
    const root = this.data.roots.includes(g.rowOf(id).index);
    if (!uses.length) return this.note(root ? "Backward started here." : "Nothing that was made from it takes a gradient.");
    const adds = (e) => Math.abs((e.userGrad || 0) * e.local);
    uses.sort((a, b) => adds(b) - adds(a));
    const some = uses.filter((e) => adds(e) !== 0), none = uses.length - some.length;
    const rows = some.slice(0, 40).map((e) => [this.link(e.user), number(e.userGrad) + " \u00d7 " +
      number(e.local), this.coloured(e.userGrad === null ? null : e.userGrad * e.local)]);
    const missing = g.missing(id, "uses") + Math.max(0, some.length - 40);
    const sum = some.slice(0, 40).reduce((total, e) => total + (e.userGrad || 0) * e.local, 0);
    if (missing) rows.push([missing + " more", "", this.coloured(grad - sum)]);
    const size = some.reduce((total, e) => total + adds(e), Math.abs(grad)) + (root ? 1 : 0);
    const rest = grad - sum - (root ? 1 : 0);
    const off = !missing && Math.abs(rest) > 1e-3 * size;
    if (off) rows.push(["from elsewhere", "", this.coloured(rest)]);
    if (none) rows.push([none === 1 ? "1 use" : none + " uses", "", "0.0"]);
    rows.push([make("b", {}, "gradient"), "=", this.coloured(grad)]);
    this.table(["use", "gradient \u00d7 local", "adds"], rows, "ledger");
    if (off) this.note("From elsewhere: earlier backward passes, or values that were overwritten since " +
      "(an optimizer's step).");
    return undefined;
  }

  pathList(id) {
    const grad = this.graph.grad(id);
    if (!this.trail.length) return;
    this.panel.append(make("h3", {}, "paths that carry most"));
    const list = make("ol", {class: "paths"});
    const end = this.data.rootNodes;
    const seed = end.length === 1 ? this.graph.grad(end[0]) : 1;
    this.trail.forEach((path, i) => {
      const share = path.share !== undefined ? real(path.share) : grad ? path.product * (seed || 1) / grad : null;
      const names = path.nodes.length > 6 ? [...path.nodes.slice(0, 3), null, ...path.nodes.slice(-2)] : path.nodes;
      const entry = make("li", {}, make("b", {}, number(path.product)),
        share === null || !isFinite(share) ? "  " : "  " + (100 * share).toFixed(share < 0.1 ? 1 : 0).replace("-", MINUS) + "\u2009%  ",
        make("span", {class: "muted"}, names.map((n) => (n === null ? "\u2026" : this.graph.label(n))).join(" \u2192 ")));
      entry.dataset.path = i;
      list.append(entry);
    });
    this.panel.append(list);
  }

  madeFrom(id, row) {
    const operands = this.graph.operands(id);
    if (row.leaf) return;
    this.panel.append(make("h3", {}, "made by " + row.op + " from"));
    if (!operands) {
      this.note("This page does not hold its operands.");
      return;
    }
    this.table(["operand", "value", "local derivative"], operands.slice(0, 40).map((e) =>
      [this.link(e.operand), number(this.graph.value(e.operand)), e.flows ? number(e.local) : "no gradient"]));
    const missing = this.graph.missing(id, "operands") + Math.max(0, operands.length - 40);
    if (missing) this.note("and " + count(missing) + " smaller ones");
  }

  coloured(grad) {
    return make("span", {class: ink(grad)}, number(grad));
  }

  note(words) {
    this.panel.append(make("p", {class: "muted"}, words));
  }

  table(head, rows, kind) {
    const table = make("table", {class: kind || ""}, make("thead", {},
      make("tr", {}, ...head.map((h) => make("th", {}, h)))));
    const body = make("tbody", {});
    for (const row of rows) body.append(make("tr", {}, ...row.map((cell) => make("td", {}, cell))));
    table.append(body);
    this.panel.append(table);
  }

  /* -- the tape -- */

  step(at) {
    this.tape.go(at);
    this.slider.value = this.tape.at;
    this.said.textContent = this.tape.text();
    this.redraw();
  }

  play() {
    if (this.timer) {
      this.stop();
      return;
    }
    if (this.tape.ended) this.step(0);
    this.playButton.textContent = "\u2016";
    const pause = Math.max(60, Math.min(900, 24000 / Math.max(this.tape.end, 1)));
    this.timer = setInterval(() => {
      this.step(this.tape.at + 1);
      if (this.tape.ended) this.stop();
    }, pause);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.playButton.textContent = "\u25b6";
  }

  /* -- searching -- */

  /** Rows, groups and scalars for a query: #123, w[0, 1], or a part of a name or operation. */
  matches(query) {
    const words = query.trim().toLowerCase(), found = [];
    if (!words) return found;
    const id = /^#?(\d+)$/.exec(words);
    if (id && this.graph.rowOf(Number(id[1]))) found.push({id: Number(id[1])});
    const element = /^(.+?)\[\s*(\d+(?:\s*,\s*\d+)*)\s*\]$/.exec(words);
    if (element) {
      const at = element[2].split(",").map(Number), name = element[1].trim(), others = [];
      for (const row of this.graph.rows) {
        if (row.shape.length !== at.length || !at.every((i, d) => i < row.shape[d])) continue;
        const names = [row.title, row.short, row.op].map((t) => t.toLowerCase());
        if (!names.includes(name) && !names[0].endsWith("." + name)) continue;
        (names[0] === name ? found : others).push(
          {id: row.id + at.reduce((sum, i, d) => sum * row.shape[d] + i, 0)});
      }
      found.push(...others);
    }
    const ranked = [];
    for (const row of this.graph.rows) {
      const title = row.title.toLowerCase();
      const rank = title === words ? 0 : title.startsWith(words) ? 1 : row.op === words ? 2
        : [title, row.op, row.module || "", row.torch || "", row.line || ""].some((t) =>
          t.toLowerCase().includes(words)) ? 3 : -1;
      if (rank >= 0) ranked.push([rank, row.scalar ? {id: row.id} : {row}]);
    }
    const walk = (group) => {
      for (const member of group.members) if (typeof member !== "number") {
        if (member.name.toLowerCase().includes(words))
          ranked.push([member.name.toLowerCase() === words ? 0 : 3, {group: member}]);
        walk(member);
      }
    };
    walk(this.data.tree);
    ranked.sort((a, b) => a[0] - b[0]);
    return found.concat(ranked.map((r) => r[1]));
  }

  look() {
    const all = this.matches(this.search.value);
    this.found.textContent = "";
    this.found.hidden = !this.search.value.trim();
    this.hits = all.slice(0, 30);
    this.hit = 0;
    for (const [i, target] of this.hits.entries()) {
      const row = target.id ? this.graph.rowOf(target.id) : target.row;
      const name = target.group ? target.group.name : target.id ? this.graph.label(target.id) : row.title;
      const about = target.id && this.graph.within(target.id) ? "in a stretch of the tape" : target.group ? target.group.kind : row.op + (target.id ? "  " + number(this.graph.value(target.id))
        : "  " + row.shape.join("\u00d7"));
      this.found.append(make("button", {type: "button", role: "option", "aria-selected": i === 0 ? "true" : "false",
        onclick: () => this.choose(i)}, make("b", {}, name), " ", make("span", {class: "muted"}, about)));
    }
    if (!this.found.hidden) this.found.append(make("div", {class: "muted count", role: "status"},
      all.length > 30 ? "30 of " + all.length : all.length === 1 ? "1 match" : all.length ?
        all.length + " matches" : this.nothing(this.search.value.trim())));
  }

  /** What is said where a search finds nothing. */
  nothing(query) {
    const id = /^#?(\d+)$/.exec(query), rows = this.graph.byId, last = rows[rows.length - 1];
    if (id && last) return "0 matches: #" + id[1] + " is not in this graph, whose nodes are #" + rows[0].id +
      " to #" + (last.spans > 1 ? last.last : last.id + last.n - 1) + ".";
    const part = rows.some((row) => row.spans > 1) ? " Of a large graph this page holds a part one by one: " +
      "search a node by its number, #" + rows[0].id + "." : "";
    return "0 matches: names, operations, modules, lines, #12 and w[0, 1] can be searched for." + part;
  }

  choose(i) {
    const target = this.hits && this.hits[i];
    if (!target) return;
    this.found.hidden = true;
    this.reveal(target);
    this.stage.focus({preventScroll: true});
  }

  searchKey(event) {
    if (event.key === "Enter") this.choose(this.hit || 0);
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const options = [...this.found.querySelectorAll("[role=option]")];
      if (!options.length) return;
      this.hit = ((this.hit || 0) + (event.key === "ArrowDown" ? 1 : -1) + options.length) % options.length;
      options.forEach((o, i) => o.setAttribute("aria-selected", i === this.hit ? "true" : "false"));
      options[this.hit].scrollIntoView({block: "nearest"});
      event.preventDefault();
    } else if (event.key === "Escape") {
      this.found.hidden = true;
      this.stage.focus({preventScroll: true});
    }
    event.stopPropagation();
  }

  /* -- pan, zoom, keys, theme -- */

  listen() {
    let from = null;
    this.stage.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      from = [event.clientX, event.clientY, this.x, this.y];
      this.dragged = false;
    });
    this.stage.addEventListener("pointermove", (event) => {
      if (!from) return;
      const dx = event.clientX - from[0], dy = event.clientY - from[1];
      if (!this.dragged && Math.hypot(dx, dy) > 4) {
        this.dragged = true;
        this.stage.setPointerCapture(event.pointerId);
      }
      if (!this.dragged) return;
      this.fitted = false;
      this.x = from[2] + dx;
      this.y = from[3] + dy;
      this.keepInSight();
      this.place();
    });
    const end = () => { from = null; };
    this.stage.addEventListener("pointerup", end);
    this.stage.addEventListener("pointercancel", end);
    this.stage.addEventListener("click", () => { if (!this.dragged) this.select(null); });
    this.stage.addEventListener("wheel", (event) => {
      const inUse = this.page.standalone || event.ctrlKey || event.metaKey ||
        this.root.getRootNode().activeElement === this.stage;
      if (!inUse) return; // a notebook scrolls on
      event.preventDefault();
      const box = this.stage.getBoundingClientRect();
      this.zoom(Math.exp(-event.deltaY * 0.0015), event.clientX - box.left, event.clientY - box.top);
    }, {passive: false});
    const whole = this.page.standalone ? document : this.root;
    whole.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.composedPath()[0];
    if (typing === this.search) return;
    const onButton = typing instanceof HTMLButtonElement, onSlider = typing === this.slider;
    const acts = {
      "/": () => { this.search.focus(); this.search.select(); }, "+": () => this.zoom(1.25), "=": () => this.zoom(1.25),
      "-": () => this.zoom(1 / 1.25), "0": () => this.fit(), r: () => this.turn(),
      t: () => this.setTheme(!this.dark), "?": () => this.help(), ",": () => this.step(this.tape.at - 1),
      ".": () => this.step(this.tape.at + 1),
      Escape: () => (this.panel.hidden ? this.leave() : this.select(null)),
    };
    if (!onSlider) for (const [name, direction] of [["ArrowLeft", [-1, 0]], ["ArrowRight", [1, 0]],
      ["ArrowUp", [0, -1]], ["ArrowDown", [0, 1]]]) acts[name] = () => this.move(direction);
    if (!onButton) {
      acts[" "] = () => this.play();
      acts.Enter = () => this.openSelected();
    }
    if (!acts[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    acts[event.key]();
  }

  openSelected() {
    if (!this.selected) return;
    const item = this.view.items.find((i) => i !== this.view.top && this.isSelected(i));
    if (item) this.toggle(item);
  }

  /** Selects the nearest box (or cell of an open tensor) in a direction. */
  move([dx, dy]) {
    const places = [];
    for (const item of this.view.items) {
      if (item === this.view.top || item.children.length) continue;
      const [x, y] = this.view.card(item);
      if (item.open && item.row && item.node === null)
        for (const cell of this.view.cells(item))
          places.push([{id: cell.id}, cell.x + cell.w / 2, cell.y + cell.h / 2]);
      else places.push([this.targetOf(item), x + item.w / 2, y + item.h / 2]);
    }
    const s = this.selected;
    const here = s && places.find(([t]) => (s.id ? t.id === s.id : s.row ? t.row === s.row : t.group === s.group));
    let best = null, least = Infinity;
    if (!here) best = places[places.length - 1];
    else for (const candidate of places) {
      const along = (candidate[1] - here[1]) * dx + (candidate[2] - here[2]) * dy;
      const aside = Math.abs((candidate[1] - here[1]) * dy) + Math.abs((candidate[2] - here[2]) * dx);
      if (along > 1 && along + 2.5 * aside < least) {
        least = along + 2.5 * aside;
        best = candidate;
      }
    }
    if (!best) return;
    this.select(best[0]);
    const {width: room, height: h} = this.free(), x = best[1] * this.k + this.x, y = best[2] * this.k + this.y;
    if (x < 60 || x > room - 60) this.x += room / 2 - x;
    if (y < 40 || y > h - 40) this.y += h / 2 - y;
    this.place();
  }

  zoom(by, x, y) {
    const {width: w, height: h} = this.size();
    if (x === undefined) [x, y] = [w / 2, h / 2];
    const k = Math.min(Math.max(this.k * by, 0.02), 6);
    this.fitted = false;
    this.x = x - (x - this.x) * k / this.k;
    this.y = y - (y - this.y) * k / this.k;
    this.k = k;
    this.keepInSight();
    this.place();
  }

  /** A corner of the drawing stays on the page, wherever it is moved. */
  keepInSight() {
    const {width: w, height: h} = this.size(), {w: wide, h: high} = this.view.top, rest = 80;
    this.x = Math.min(Math.max(this.x, rest - wide * this.k), w - rest);
    this.y = Math.min(Math.max(this.y, rest - high * this.k), h - rest);
  }

  /** How large a view can be drawn on the page. */
  scaleOf(view) {
    const {width: room, height: h} = this.free(), {w: wide, h: high} = view.top;
    return Math.max(Math.min((room - 48) / wide, (h - 64) / high, this.page.standalone ? 1.8 : 1.2), 0.02);
  }

  fit(first) {
    const {width: room, height: h} = this.free(), {w: wide, h: high} = this.view.top;
    this.k = this.scaleOf(this.view);
    this.x = (room - wide * this.k) / 2;
    this.y = (h - 20 - high * this.k) / 2;
    this.fitted = true;
    const thin = Math.min(wide * this.k / room, high * this.k / h) < 0.25;
    if (first && this.k < (thin ? 0.5 : 0.15)) { // a thread, or dust: the end of the tape, readable
      this.k = 0.7;
      this.fitted = false;
      const root = this.view.visible.get(this.data.roots[0]) || this.view.top;
      this.x = this.view.down ? room / 2 - (root.x + root.w / 2) * this.k : room - 60 - (root.x + root.w + 30) * this.k;
      this.y = this.view.down ? h - 60 - (root.y + root.h + 34) * this.k : h / 2 - (root.y + root.h / 2) * this.k;
    }
    this.place();
  }

  /** Opens as much as can be read on this page, in the direction in which it is larger. */
  openToFit() {
    const {open, rows, down} = this.state, none = new Set(), folded = new Map();
    if (this.view.items.length > 500) return;
    let best = null;
    for (const [groups, tensors] of [[open, rows], [open, folded], [none, folded]]) {
      for (const turned of [down, !down]) {
        const view = new View(this.graph, {...this.state, open: groups, rows: tensors, down: turned});
        const k = this.scaleOf(view);
        if (!best || k > 1.05 * best.k) best = {k, open: groups, rows: tensors, down: turned};
      }
      if (best.k >= READABLE) break;
    }
    Object.assign(this.state, {open: best.open, rows: best.rows, down: best.down});
    this.layOut();
  }

  turn() {
    this.state.down = !this.state.down;
    this.opened("top");
    this.fit();
  }

  resized() {
    const {width: w, height: h} = this.stage.getBoundingClientRect();
    if (!w || w + " " + h === this.lastSize) return; // 0: in a notebook's cell that is not shown yet
    const first = this.lastSize === undefined;
    this.lastSize = w + " " + h;
    if (first) {
      if (!this.page.standalone) this.root.style.setProperty("--height", "712px");
      this.openToFit();
      if (!this.page.standalone) {
        const scale = Math.min((w - 48) / this.view.top.w, 1.2);
        const wanted = Math.min(Math.max(this.view.top.h * scale + 80, 220), 620);
        this.root.style.setProperty("--height", wanted + 92 + "px");
      }
      this.fit(true);
      this.step(this.tape.at);
      if (this.data.focus.length && !this.selected) this.reveal({id: this.data.focus[0]});
    } else if (this.fitted) this.fit();
    else this.place();
  }

  watchTheme() {
    const query = matchMedia("(prefers-color-scheme: dark)");
    const asPage = () => {
      const body = document.body, jupyter = body.dataset.jpThemeLight;
      if (jupyter !== undefined) return jupyter === "false";
      if (/vscode-(dark|high-contrast)\b/.test(body.className)) return true;
      if (/vscode-light/.test(body.className)) return false;
      return query.matches;
    };
    const follow = () => { if (!this.chosenTheme) this.showTheme(asPage()); };
    query.addEventListener("change", follow);
    follow();
  }

  setTheme(dark) {
    this.chosenTheme = true;
    this.showTheme(dark);
  }

  showTheme(dark) {
    this.dark = dark;
    this.root.classList.toggle("dark", dark);
  }

  help() {
    this.select(null);
    this.panel.hidden = false;
    this.panel.textContent = "";
    this.panel.append(make("button", {type: "button", class: "close", "aria-label": "Close (Esc)",
      onclick: () => this.select(null)}, "\u00d7"), make("h2", {}, "Keys"));
    this.facts(["arrows", "the next box or number"], ["Enter", "open or fold"], ["Esc", "close"],
      ["/", "search: a name, an operation, #12, w[0, 1]"], ["+ \u2212 0", "zoom in, out, fit"],
      ["space", "play the tape"], [", .", "a step back, forward"], ["r", "turn the drawing"],
      ["t", "light or dark"], ["drag, wheel", "pan, zoom (in a notebook: click first)"]);
    this.panel.append(make("h3", {}, "Reading"));
    this.note("Left: the value. Right: the gradient, orange above zero and blue below. An edge is as wide " +
      "as what it adds to its operand's gradient; \u00d7 is its local derivative. The paths that carry most " +
      "of a selected scalar's gradient are marked.");
    if (this.fitted) this.fit();
  }
}

/* ---- small pictures -------------------------------------------------------------------------- */

function rect(x, y, w, h, r, kind) {
  return svg("rect", {class: kind, x, y, width: w, height: h, rx: r});
}

function path(d, kind) {
  return svg("path", {class: kind, d});
}

function text(x, y, words, kind) {
  return svg("text", {class: kind, x, y}, words);
}

function bars(bins, x, y, w, h) {
  const step = w / Math.max(bins.length, 1);
  return path(bins.map((b, i) => (b > 0 ? "M" + (x + i * step) + " " + (y + h) + "v" +
    -Math.max(b * h, 1) + "h" + (step - 1) + "v" + Math.max(b * h, 1) + "Z" : "")).join(""), "bar");
}

function profile(grads) {
  if (grads.length <= 24) return grads;
  return Array.from({length: 24}, (_, i) => Math.max(...grads.slice(
    Math.floor(i * grads.length / 24), Math.floor((i + 1) * grads.length / 24))));
}

function ink(grad) {
  if (grad === null || grad === undefined) return "gnone";
  return grad !== grad ? "gbad" : grad > 0 ? "gpos" : grad < 0 ? "gneg" : "gnone";
}

function most(grad) {
  return grad === null ? "no gradient" : "|\u2207| \u2264 " + number(grad);
}

/* ---- start ----------------------------------------------------------------------------------- */

const name = "RNN_DRAWING_NAME";
const source = document.querySelector('script[data-rnn-data="' + name + '"]');
if (source) {
  for (const host of document.querySelectorAll('[data-rnn-drawing="' + name + '"]'))
    if (!host.shadowRoot) new Drawing(host, JSON.parse(source.textContent));
}
})();

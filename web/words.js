/* words.js - what every page says the same way: nodes, figures with their units, tables, reading the API.
 *
 *   words.js --> window.FlywheelWords --> app.js, receipt.js, rollouts.js, models.js
 *
 * Texts from outside go into text nodes, never into markup. A field that is absent is an em dash, never 0.
 */
'use strict';
window.FlywheelWords = (() => {
  const NONE = '—';
  const $ = (id) => document.getElementById(id);

  /* ---- building nodes and words ---- */
  function el(tag, props, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(props || {})) {
      if (value === undefined || value === null || value === false) continue;
      if (name === 'class') node.className = value;
      else if (name === 'style') node.style.cssText = value;
      else node.setAttribute(name, value === true ? '' : String(value));
    }
    for (const child of children.flat())
      if (child !== null && child !== undefined) node.append(child);
    return node;
  }
  function swap(parent, ...children) {
    parent.replaceChildren(...children.flat().filter((c) => c !== null));
  }
  const known = (v) => v !== undefined && v !== null && v !== '';
  const isNumber = (v) => typeof v === 'number' && Number.isFinite(v);
  function pick(object, ...names) {
    for (const name of names) {
      let value = object;
      for (const part of name.split('.'))
        value = value === null || value === undefined ? undefined : value[part];
      if (known(value)) return value;
    }
    return undefined;
  }
  function list(answer, ...names) {
    if (Array.isArray(answer)) return answer;
    const inner = pick(answer || {}, ...names, 'items', 'rows');
    return Array.isArray(inner) ? inner : [];
  }
  const count = (v) => (isNumber(v) ? Math.round(v).toLocaleString('en-US') : NONE);
  const share = (v) => (isNumber(v) ? `${(100 * v).toFixed(1)} %` : NONE);
  const hash = (v) =>
    known(v)
      ? String(v)
          .replace(/^sha256:/, '')
          .slice(0, 10)
      : NONE;
  function bytes(v) {
    if (!isNumber(v)) return NONE;
    const units = ['B', 'kB', 'MB', 'GB', 'TB'];
    let i = 0;
    while (v >= 1000 && i < units.length - 1) {
      v /= 1000;
      i++;
    }
    return `${i === 0 || v >= 100 ? Math.round(v) : v.toFixed(1)} ${units[i]}`;
  }
  function seconds(v) {
    if (!isNumber(v)) return NONE;
    if (v < 10) return `${v.toFixed(1)} s`;
    if (v < 120) return `${Math.round(v)} s`;
    return v < 7200
      ? `${Math.floor(v / 60)} min ${Math.round(v % 60)} s`
      : `${(v / 3600).toFixed(1)} h`;
  }
  function steps(v) {
    if (!isNumber(v)) return NONE;
    return v >= 1e6
      ? `${(v / 1e6).toFixed(1)} M`
      : v >= 1e4
        ? `${Math.round(v / 1e3)} k`
        : count(v);
  }
  const clock = (ms) => new Date(ms).toLocaleTimeString('en-GB');
  /* Times since 1970 come as ns, us, ms or s, told apart by size, or as ISO text; returns ms, or
     undefined for anything else (simulated time starts at 0). */
  function timeMs(v) {
    if (typeof v === 'string') {
      const t = Date.parse(v);
      return Number.isNaN(t) ? undefined : t;
    }
    if (!isNumber(v)) return undefined;
    for (const perMs of [1e6, 1e3, 1, 1e-3]) {
      if (v / perMs > 1e12 && v / perMs < 4e12) return v / perMs;
    }
    return undefined;
  }
  /* "hard_brake" as people write it. */
  const plain = (v) => (known(v) ? String(v).replace(/_/g, ' ') : NONE);
  const utc = (ns) => {
    const t = timeMs(ns);
    return t ? new Date(t).toISOString().replace('T', ' ').slice(0, 19) : NONE;
  };
  const hashCode = (v, href) =>
    known(v)
      ? el(
          'a',
          { class: 'hash', href: href || `/v1/objects/${encodeURIComponent(v)}`, title: String(v) },
          hash(v),
        )
      : NONE;
  const modelCode = (v) =>
    hashCode(v, known(v) ? `/models.html?hash=${encodeURIComponent(v)}` : undefined);
  /* Drawings: the same, in SVG's namespace. */
  function svg(tag, props, ...children) {
    const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
    for (const [name, value] of Object.entries(props || {}))
      if (known(value)) node.setAttribute(name, String(value));
    for (const child of children.flat()) if (known(child)) node.append(child);
    return node;
  }
  /* "+3.1" points of a share. */
  const signedPoints = (v) =>
    isNumber(v) ? `${v >= 0 ? '+' : '−'}${Math.abs(100 * v).toFixed(1)}` : NONE;
  const asked = (name) => new URLSearchParams(location.search).get(name);

  /* ---- tables ---- */
  function table(id, columns, rows, empty) {
    const target = $(id);
    swap(
      target.tHead,
      el(
        'tr',
        {},
        columns.map((c) =>
          el(
            'th',
            { scope: 'col', class: c.number ? 'number' : null },
            c.name,
            c.unit ? el('span', { class: 'unit' }, ` ${c.unit}`) : null,
          ),
        ),
      ),
    );
    swap(
      target.tBodies[0],
      rows.length === 0
        ? el('tr', {}, el('td', { colspan: columns.length, class: 'empty' }, empty))
        : rows.map((row) =>
            el(
              'tr',
              {},
              columns.map((c) =>
                el(
                  'td',
                  {
                    class:
                      [c.number ? 'number' : '', c.wide ? 'wide' : ''].join(' ').trim() || null,
                  },
                  c.cell(row) ?? NONE,
                ),
              ),
            ),
          ),
    );
  }

  /* ---- reading ---- */
  async function read(url) {
    const answer = await fetch(url, { cache: 'no-store', signal: AbortSignal.timeout(8000) });
    if (!answer.ok) throw new Error(`${url} answered ${answer.status}`);
    return answer.json();
  }

  /* Again and again, while the page is looked at; `look` says by itself what it could not read. */
  async function watch(look, everyMs) {
    if (!document.hidden) await look();
    setTimeout(() => watch(look, everyMs), everyMs);
  }

  return {
    NONE,
    $,
    el,
    svg,
    swap,
    known,
    isNumber,
    pick,
    list,
    count,
    share,
    hash,
    bytes,
    seconds,
    steps,
    clock,
    timeMs,
    plain,
    utc,
    hashCode,
    modelCode,
    signedPoints,
    asked,
    table,
    read,
    watch,
  };
})();

/* receipt.js - receipts: the chain from an event to the fleet that passes it, hop by hop, and all of them in figures.
 *
 *   GET /v1/receipts                --> summary, list
 *   ?event=N: GET /v1/events/N/receipt --DSSE envelope--> axis, hops     (checked by `flywheel receipt verify`)
 *             GET /v1/events/N/replay  --> replay.js: the model that drove then beside the one that drives now
 *
 * Format: docs/formats/receipt.md. A hop that has not happened is drawn hollow and says why.
 */
'use strict';
(() => {
  const {
    NONE,
    $,
    el,
    svg,
    swap,
    known,
    isNumber,
    list,
    count,
    bytes,
    seconds,
    share,
    timeMs,
    plain,
    utc,
    hashCode,
    modelCode,
    asked,
    table,
    read,
    watch,
  } = window.FlywheelWords;
  const LIST_MS = 5000;
  const since = (hop) => (isNumber(hop.since_event_ns) ? hop.since_event_ns / 1e9 : undefined);
  const badge = (outcome, complete) =>
    el(
      'span',
      {
        class: 'verdict',
        'data-verdict': { fixed: 'promoted', 'not fixed': 'failed' }[outcome] || 'open',
      },
      complete ? outcome : `${outcome}, incomplete`,
    );
  const eventLink = (id) =>
    el('a', { href: `/receipt.html?event=${encodeURIComponent(id)}` }, String(id));

  /* ---- one receipt ---- */
  function payloadOf(envelope) {
    const raw = Uint8Array.from(atob(envelope.payload), (c) => c.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(raw)).predicate;
  }
  /* Times on an axis: dots on the line, names above and below in turn, never one on another. The replay is left out:
     it happens when somebody asks for the receipt. */
  const AXIS = { wide: 1200, high: 150, left: 40, right: 60, line: 75, gap: 96 };
  function places(hops, span) {
    const x = (s) => AXIS.left + (span > 0 ? s / span : 0) * (AXIS.wide - AXIS.left - AXIS.right);
    const free = { above: -Infinity, below: -Infinity };
    return hops.map((hop, i) => {
      const at = x(since(hop)),
        side = i % 2 ? 'below' : 'above',
        label = Math.min(Math.max(at, free[side] + AXIS.gap), AXIS.wide - AXIS.right);
      free[side] = label;
      return { hop, at, label, side };
    });
  }
  function drawAxis(receipt) {
    const timed = receipt.hops.filter((h) => isNumber(h.since_event_ns) && h.hop !== 'replay'),
      ordered = [...timed].sort((a, b) => a.since_event_ns - b.since_event_ns),
      span = Math.max(...timed.map(since), 0),
      picture = $('axis');
    picture.setAttribute('viewBox', `0 0 ${AXIS.wide} ${AXIS.high}`);
    const marks = places(ordered, span).map(({ hop, at, label, side }) => {
      const up = side === 'above',
        y = up ? 34 : 116;
      return svg(
        'g',
        { class: 'mark', 'data-hop': hop.hop },
        svg('path', { d: `M${at} ${AXIS.line}L${label} ${up ? y + 16 : y - 14}`, class: 'lead' }),
        svg('circle', { cx: at, cy: AXIS.line, r: 5 }),
        svg('text', { x: label, y, 'text-anchor': 'middle', class: 'name' }, hop.hop),
        svg('text', { x: label, y: y + 13, 'text-anchor': 'middle' }, seconds(since(hop))),
      );
    });
    swap(
      picture,
      svg('path', { d: `M${AXIS.left} ${AXIS.line}H${AXIS.wide - AXIS.right}`, class: 'line' }),
      ...marks,
    );
  }
  /* What is worth a line of each hop, and where to look further. */
  const LINES = {
    event: (f) => [
      `${plain(f.kind)} of unit ${f.unit}`,
      known(f.value) ? `value ${f.value}` : null,
    ],
    recording: (f, h) => [
      el('span', {}, 'recording ', hashCode(h.sha256)),
      `${plain(f.role)}, ${count(f.messages)} messages`,
      el('span', {}, 'driven by ', known(f.model) ? modelCode(f.model) : NONE),
    ],
    scenario: (f) => [
      `driven from ${((f.event_tick - f.first_tick) / 10).toFixed(1)} s before the event`,
      `${plain(f.traffic)} traffic, guard on, seed ${f.seed}`,
    ],
    dataset: (f, h) => [
      el('span', {}, 'data set ', hashCode(h.sha256)),
      `generation ${count(f.generation)}, ${count(f.recordings)} recordings`,
      f.role === 'held_out' ? 'kept out of training: the gate judged on it' : 'trained on',
    ],
    run: (f, h) => [
      el('span', {}, 'candidate ', modelCode(h.sha256)),
      `${count(f.agent_steps)} agent-steps, seed ${f.seed}`,
      el('span', {}, 'from ', modelCode(f.parent)),
    ],
    gate: (f) => [
      el('b', {}, plain(f.decision)),
      known(f.reason) ? String(f.reason) : null,
      f.test ? `suite ${String(f.test.suite).slice(0, 12)}, alpha ${f.test.alpha}` : null,
    ],
    signature: (f, h) => [
      `statement ${String(h.sha256).slice(0, 10)}`,
      known(f.keyid) ? `key ${String(f.keyid).slice(0, 10)}` : null,
      known(f.release_counter) ? `release ${f.release_counter}` : null,
    ],
    rollout: (f) => [
      el('a', { href: `/rollouts.html?n=${encodeURIComponent(f.n)}` }, `rollout ${f.n}`),
      `${count(f.active)} of ${count(f.units)} units, ${count(f.reports)} signed reports`,
    ],
    replay: (f) => [
      el('b', {}, plain(f.outcome)),
      ...(f.drives || []).map(
        (d, i) =>
          `${i ? 'now' : 'then'}: ${d.end}${d.again ? ', the event again' : ''}${d.moves ? '' : ', hardly moves'}`,
      ),
    ],
  };
  function hopCard(hop, number) {
    const facts = hop.facts || {},
      lines = hop.done ? (LINES[hop.hop]?.(facts, hop) ?? []) : [plain(hop.why)];
    const figures = [
      isNumber(hop.bytes) ? bytes(hop.bytes) : null,
      isNumber(hop.core_ms) ? `${(hop.core_ms / 1000).toFixed(2)} core-s` : null,
    ].filter(Boolean);
    return el(
      'li',
      { class: 'hop', 'data-hop': hop.hop, 'data-done': String(hop.done === true) },
      el(
        'h3',
        {},
        `${number} ${hop.hop}`,
        el(
          'span',
          { class: 'state' },
          hop.done ? (isNumber(since(hop)) ? `+${seconds(since(hop))}` : '') : 'not yet',
        ),
      ),
      ...lines.filter(known).map((line) => el('div', { class: 'more' }, line)),
      figures.length ? el('div', { class: 'more figures' }, figures.join(' · ')) : null,
      el(
        'div',
        { class: 'more link-back', title: String(hop.previous ?? '') },
        hop.previous ? `follows ${String(hop.previous).slice(0, 10)}` : 'the chain begins',
      ),
    );
  }
  function show(receipt, id) {
    const event = receipt.hops[0].facts;
    $('receipt-box').hidden = false;
    $('receipt-none').hidden = true;
    swap(
      $('receipt-note'),
      `event ${id}: ${plain(event.kind)} of unit ${event.unit}, ${utc(receipt.hops[0].time_ns)} UTC · `,
      badge(receipt.outcome, receipt.complete),
      isNumber(receipt.failure_to_fixed_ns)
        ? ` · fixed on the whole fleet after ${seconds(receipt.failure_to_fixed_ns / 1e9)}`
        : '',
      ` · ${bytes(receipt.bytes)}, ${(receipt.core_ms / 1000).toFixed(1)} core-s in all`,
    );
    drawAxis(receipt);
    swap(
      $('hops'),
      receipt.hops.map((h, i) => hopCard(h, i + 1)),
    );
    swap(
      $('receipt-check'),
      'Signed by the factory. To check it without the factory: ',
      el(
        'code',
        {},
        `flywheel receipt ${id} --bundle R; flywheel receipt verify R/receipt.json --key R/key.json --objects R --drive`,
      ),
    );
  }
  async function openReceipt(id) {
    $('receipt').hidden = false;
    try {
      show(payloadOf(await read(`/v1/events/${encodeURIComponent(id)}/receipt`)), id);
    } catch (error) {
      $('receipt-box').hidden = true;
      $('receipt-none').hidden = false;
      $('receipt-none').textContent = `No receipt of event ${id}: ${error.message}`;
      return;
    }
    look(); /* this one may have been made just now */
    window.FlywheelReplay.openFrom(
      `/v1/events/${encodeURIComponent(id)}/replay`,
      'left the model that drove when it happened, right the one that drives now',
    );
  }

  /* ---- all of them ---- */
  function showSummary(all) {
    const fixed = all.failure_to_fixed_s,
      tile = (name, big, more) =>
        el(
          'div',
          { class: 'tile' },
          el('dt', {}, name),
          el('dd', {}, el('b', {}, big), more ? el('span', {}, more) : null),
        );
    swap(
      $('summary'),
      tile(
        'failure to fixed fleet, median',
        fixed ? seconds(fixed.median) : NONE,
        fixed
          ? `${isNumber(fixed.low) ? `95 % [${seconds(fixed.low)}, ${seconds(fixed.high)}], ` : ''}n = ${count(fixed.n)} events, ${count(fixed.clusters)} generation${fixed.clusters === 1 ? '' : 's'}`
          : 'nothing fixed yet',
      ),
      tile(
        'complete chains',
        share(all.share_complete),
        `${count(all.complete)} of ${count(all.receipts)} receipts, ${count(all.events)} events`,
      ),
      tile(
        'driven again',
        count(all.fixed),
        `fixed · ${count(all.not_reproduced)} not reproduced · ${count(all.not_fixed)} not fixed · ${count(all.open)} open`,
      ),
    );
  }
  function showList(rows) {
    table(
      'receipts',
      [
        { name: 'event', number: true, cell: (r) => eventLink(r.event) },
        { name: 'when', unit: 'UTC', cell: (r) => utc(r.event_ns) },
        { name: 'unit', cell: (r) => plain(r.unit) },
        { name: 'kind', cell: (r) => plain(r.kind) },
        { name: 'recording', cell: (r) => hashCode(r.recording) },
        { name: 'generation', number: true, cell: (r) => count(r.generation) },
        { name: 'outcome', cell: (r) => badge(r.outcome, r.complete) },
        { name: 'failure to fixed fleet', number: true, cell: (r) => seconds(r.fixed_s) },
      ],
      rows,
      'No receipt yet: open an event below, or run `flywheel receipt --all`.',
    );
    $('list-note').textContent = rows.length ? `newest ${rows.length}` : '';
  }
  function showEvents(events, rows) {
    const made = new Set(rows.map((r) => r.event));
    table(
      'events',
      [
        { name: 'event', number: true, cell: (e) => eventLink(e.id) },
        { name: 'unit', cell: (e) => plain(e.unit) },
        { name: 'kind', cell: (e) => plain(e.kind) },
        { name: 'arrived', unit: 'UTC', cell: (e) => utc(e.received_ns) },
        { name: 'recording', cell: (e) => hashCode(e.recording) },
      ],
      events.filter((e) => !made.has(e.id)).slice(0, 100),
      'Every event that is listed has one.',
    );
  }
  async function look() {
    try {
      const [all, events] = await Promise.all([read('/v1/receipts'), read('/v1/events?limit=200')]);
      const rows = list(all, 'rows');
      $('banner').hidden = true;
      showSummary(all);
      showList(rows);
      showEvents(list(events), rows);
    } catch (error) {
      $('banner').hidden = false;
      $('banner').textContent = `No word from the factory: ${error.message}`;
    }
  }
  document.addEventListener('DOMContentLoaded', () => {
    if (known(asked('event'))) openReceipt(asked('event'));
    watch(look, LIST_MS);
  });
})();

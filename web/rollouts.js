/* rollouts.js - a model on its way through the fleet: rings filling, health against the control, halts in words.
 *
 *   GET /v1/rollouts      --> list; the newest (or ?n=) in full:
 *   GET /v1/rollouts/{n}  --> rings (members by ring and state), health (the last look's evidence), steps
 *
 * A rate is never without the other ring's beside it; an e-value stands beside the one that stops the rollout.
 */
'use strict';
(() => {
  const {
    NONE,
    $,
    el,
    swap,
    known,
    isNumber,
    list,
    count,
    seconds,
    timeMs,
    plain,
    utc,
    clock,
    modelCode,
    asked,
    table,
    read,
    watch,
  } = window.FlywheelWords;
  const LOOK_MS = 2000;
  const STATES = ['active', 'shadow', 'told', 'failed', 'back', 'waiting'];
  const state = (r) =>
    el(
      'span',
      {
        class: 'verdict',
        'data-verdict':
          {
            done: 'promoted',
            halted: 'failed',
            rolled_back: 'failed',
            rolling_back: 'failed',
            rolling: 'running',
          }[r.state] || 'open',
      },
      plain(r.state),
    );
  const rollLink = (r, text) =>
    el('a', { href: `/rollouts.html?n=${encodeURIComponent(r.n)}` }, text);

  /* ---- one rollout ---- */
  /* "Rollout 3 brings model abc to 12 units; ring 2 of 3 (half) runs: 5 of 6 have it." */
  function sentence(r) {
    const where = {
      done: 'the whole group runs it',
      halted: 'stopped: who has it keeps it until somebody decides',
      rolling_back: 'going back: units return to the model before',
      rolled_back: 'turned back: every unit heard of runs the model before',
    }[r.state];
    return [
      'model ',
      modelCode(r.model),
      known(r.previous) ? [' instead of ', modelCode(r.previous)] : '',
      ` · ${count(r.active)} of ${count(r.units)} units run it, ${count(r.failed)} could not · `,
      where ||
        `ring ${count(r.ring + 1)} of ${count(r.rings)} (${plain(r.ring_name)}) is under way`,
      known(r.reason) ? ` · ${r.reason}` : '',
    ].flat();
  }
  function ringBox(ring, index, rollout) {
    const members = list(rollout.members).filter((m) => m.ring === index),
      parts = STATES.map((s) => [s, members.filter((m) => m.state === s).length]).filter(
        ([, n]) => n > 0,
      ),
      now = rollout.state === 'rolling' && rollout.ring === index,
      done = rollout.state === 'done' || index < rollout.ring;
    return el(
      'li',
      {
        class: 'ring',
        'data-ring': plain(ring.name),
        'data-now': String(now),
        'data-done': String(done),
      },
      el(
        'h3',
        {},
        `${index + 1} ${plain(ring.name)}`,
        el('span', { class: 'state' }, now ? 'now' : done ? 'through' : ''),
      ),
      el(
        'div',
        {
          class: 'fill',
          role: 'img',
          'aria-label': parts.map(([s, n]) => `${n} ${s}`).join(', ') || 'no units',
        },
        parts.map(([s, n]) => el('i', { class: s, style: `flex:${n}`, title: `${n} ${s}` })),
      ),
      el(
        'div',
        { class: 'more' },
        parts.length ? parts.map(([s, n]) => `${n} ${s}`).join(' · ') : 'no units of its own',
      ),
      el(
        'div',
        { class: 'more dim' },
        `up to ${(100 * ring.share).toFixed(1)} % of the group${ring.mode === 'shadow' ? ', in shadow' : ''}; passes when ${ring.advance === 'ruled_out' ? 'harm is ruled out' : 'enough was lived without harm'}`,
      ),
    );
  }
  const rate = (v) => (isNumber(v) ? (v >= 1 ? v.toFixed(2) : v.toPrecision(2)) : NONE);
  const eValue = (log) =>
    isNumber(log)
      ? log > 7
        ? `10^${(log / Math.LN10).toFixed(1)}`
        : Math.exp(log) < 10
          ? Math.exp(log).toPrecision(2)
          : count(Math.exp(log))
      : NONE;
  const UNITS = { events: 'events/km', vetoes: 'vetoes/km', late_ticks: 'late ticks/tick' };
  function showHealth(r) {
    const looks = list(r.steps)
        .map((s) => s.evidence)
        .filter((e) => e && e.compared),
      withControl = looks.filter((e) => e.control > 0),
      look = r.look || withControl.pop() || looks.pop(),
      plan = r.plan || {},
      rings = list(plan.rings).length || 1,
      measures = Object.entries((look && look.compared) || {}),
      bar = isNumber(plan.alpha) ? Math.log((rings * measures.length) / plan.alpha) : undefined;
    table(
      'health',
      [
        { name: 'measure', cell: ([name]) => UNITS[name] || plain(name) },
        { name: 'ring', number: true, cell: ([, c]) => rate(c.ring_rate) },
        { name: 'control', number: true, cell: ([, c]) => rate(c.control_rate) },
        {
          name: 'ratio',
          number: true,
          cell: ([, c]) =>
            c.control_rate > 0 && isNumber(c.ring_rate)
              ? (c.ring_rate / c.control_rate).toFixed(2)
              : NONE,
        },
        {
          name: 'scatter',
          unit: 'of units, 1 = Poisson',
          number: true,
          cell: ([, c]) => (isNumber(c.dispersion) ? c.dispersion.toFixed(1) : NONE),
        },
        {
          name: 'e-value of harm',
          unit: isNumber(bar) ? `stops at ${eValue(bar)}` : '',
          number: true,
          cell: ([, c]) =>
            el(
              'span',
              { class: isNumber(bar) && c.log_e_harm >= bar ? 'wrong' : null },
              eValue(c.log_e_harm),
            ),
        },
        {
          name: `e-value against ×${isNumber(plan.harm_ratio) ? plan.harm_ratio : '?'}`,
          unit: isNumber(plan.beta) ? `ruled out at ${eValue(Math.log(1 / plan.beta))}` : '',
          number: true,
          cell: ([, c]) => eValue(c.log_e_ruled_out),
        },
      ],
      measures,
      'No look yet.',
    );
    $('health-note').textContent = look
      ? `${count(look.active)} units in the rings so far against ${count(look.control)} still on the model before; ${count(look.refusals)} refused it, ${count(look.fallbacks)} fell back, ${count(look.crashes)} crashed · ${plain(look.reason)}`
      : '';
  }
  function showSteps(r) {
    const line = (s) =>
      el(
        'li',
        {},
        known(s.time_ns)
          ? el(
              'time',
              { datetime: new Date(timeMs(s.time_ns)).toISOString() },
              `${clock(timeMs(s.time_ns))} `,
            )
          : null,
        el(
          'span',
          {
            class: 'verdict',
            'data-verdict':
              { halt: 'failed', rollback: 'failed', done: 'promoted' }[s.kind] || 'open',
          },
          plain(s.kind),
        ),
        ` ${s.text ?? NONE}`,
      );
    const steps = [...list(r.steps)].reverse();
    swap($('steps'), steps.length ? steps.map(line) : el('li', { class: 'empty' }, 'Nothing yet.'));
  }
  function showMembers(r) {
    const members = list(r.members);
    table(
      'members',
      [
        { name: 'unit', cell: (m) => String(m.unit ?? NONE) },
        { name: 'ring', number: true, cell: (m) => count(m.ring + 1) },
        {
          name: 'state',
          cell: (m) => el('span', { class: m.state === 'failed' ? 'wrong' : null }, plain(m.state)),
        },
        {
          name: 'told to active',
          number: true,
          cell: (m) =>
            isNumber(m.active_ns) && isNumber(m.told_ns)
              ? seconds((m.active_ns - m.told_ns) / 1e9)
              : NONE,
        },
        { name: 'signed report', cell: (m) => (m.signed ? 'yes' : NONE) },
      ],
      members.slice(0, 500),
      'No unit is in it yet.',
    );
    $('members-note').textContent =
      members.length > 500 ? `the first 500 of ${count(members.length)}` : count(members.length);
  }
  function show(r) {
    $('rollout').hidden = false;
    swap(
      $('rollout-note'),
      `${r.n} · `,
      state(r),
      ` · since ${utc(r.created_ns)} UTC`,
      isNumber(r.done_ns) ? `, over after ${seconds((r.done_ns - r.created_ns) / 1e9)}` : '',
      isNumber(r.generation) && r.generation > 0 ? ` · generation ${r.generation}` : '',
    );
    swap($('rollout-say'), ...sentence(r));
    swap(
      $('rings'),
      list(r.plan, 'rings').map((ring, i) => ringBox(ring, i, r)),
    );
    showHealth(r);
    showSteps(r);
    showMembers(r);
  }

  /* ---- all of them ---- */
  function showList(rows) {
    table(
      'rollouts',
      [
        { name: '#', number: true, cell: (r) => rollLink(r, String(r.n)) },
        { name: 'state', cell: state },
        { name: 'model', cell: (r) => modelCode(r.model) },
        { name: 'before', cell: (r) => (known(r.previous) ? modelCode(r.previous) : NONE) },
        {
          name: 'ring',
          cell: (r) => `${count(r.ring + 1)} of ${count(r.rings)} ${plain(r.ring_name)}`,
        },
        { name: 'active', number: true, cell: (r) => `${count(r.active)} of ${count(r.units)}` },
        {
          name: 'failed',
          number: true,
          cell: (r) => el('span', { class: r.failed > 0 ? 'wrong' : null }, count(r.failed)),
        },
        { name: 'begun', unit: 'UTC', cell: (r) => utc(r.created_ns) },
        {
          name: 'took',
          number: true,
          cell: (r) => (isNumber(r.done_ns) ? seconds((r.done_ns - r.created_ns) / 1e9) : NONE),
        },
        { name: 'reason', wide: true, cell: (r) => (known(r.reason) ? String(r.reason) : NONE) },
      ],
      rows,
      'No rollout yet: one begins when the gate lets a model through, or with `flywheel rollout start`.',
    );
    $('list-note').textContent = rows.length ? `${rows.length} in all, newest first` : '';
  }
  async function look() {
    try {
      const rows = list(await read('/v1/rollouts'));
      showList(rows);
      const wanted = asked('n') ?? (rows[0] && rows[0].n);
      if (known(wanted)) show(await read(`/v1/rollouts/${encodeURIComponent(wanted)}`));
      $('banner').hidden = true;
    } catch (error) {
      $('banner').hidden = false;
      $('banner').textContent = `No word from the factory: ${error.message}`;
    }
  }
  document.addEventListener('DOMContentLoaded', () => watch(look, LOOK_MS));
})();

/* models.js - models: where each comes from, what the gate found in words and numbers, whether it is signed.
 *
 *   GET /v1/models, /v1/gate/decisions        --> lists, alpha spent
 *   ?hash=H: GET /v1/models/H                 --> lineage as a drawing, facts, signature
 *            GET /v1/gate/decisions/{n}       --> hypotheses, path of the evidence, slices, limits
 *
 * The path is the gambler's log wealth against "not better", recording by recording (docs/formats/gate-record.md):
 * it may be looked at whenever one likes, and crosses the upper line by chance at most alpha_t of the time.
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
    share,
    seconds,
    timeMs,
    plain,
    utc,
    hash,
    hashCode,
    modelCode,
    signedPoints,
    asked,
    table,
    read,
    watch,
  } = window.FlywheelWords;
  const LIST_MS = 5000;
  const verdict = (word, good) =>
    el(
      'span',
      {
        class: 'verdict',
        'data-verdict': good === undefined ? 'open' : good ? 'promoted' : 'refused',
      },
      word,
    );
  const decisionOf = (m) =>
    known(m.decision) ? verdict(m.decision, m.decision === 'promoted') : NONE;

  /* ---- lineage as a drawing ---- */
  const BOX = { wide: 210, high: 56, gap: 34, most: 5 };
  /* From the oldest that is shown to the model itself. */
  function ancestors(model, models) {
    const by = new Map(models.map((m) => [m.hash, m])),
      line = [];
    for (let m = model; m && line.length < BOX.most && !line.includes(m); m = by.get(m.parent))
      line.unshift(m);
    return line;
  }
  function box(x, y, kind, title, more, href) {
    const inside = svg(
      'g',
      { class: `box ${kind}` },
      svg('rect', { x, y, width: BOX.wide, height: BOX.high, rx: 7 }),
      svg('text', { x: x + 12, y: y + 23, class: 'name' }, title),
      svg('text', { x: x + 12, y: y + 42 }, more),
    );
    return href ? svg('a', { href }, inside) : inside;
  }
  function drawLineage(model, models) {
    const line = ancestors(model, models),
      step = BOX.wide + BOX.gap,
      top = line.some((m) => known(m.dataset)) ? 96 : 2,
      parts = [];
    line.forEach((m, i) => {
      const x = i * step + 1;
      if (i > 0 || known(m.parent))
        parts.push(
          svg('path', {
            class: 'arrow',
            d: `M${x - BOX.gap + 2} ${top + BOX.high / 2}H${x - 4}m-7 -5l7 5l-7 5`,
          }),
        );
      if (known(m.dataset)) {
        parts.push(
          box(
            x,
            2,
            'dataset',
            `data set ${hash(m.dataset)}`,
            'recordings it learned from',
            `/v1/objects/${encodeURIComponent(m.dataset)}`,
          ),
        );
        parts.push(
          svg('path', {
            class: 'arrow',
            d: `M${x + BOX.wide / 2} ${BOX.high + 4}V${top - 4}m-5 -7l5 7l5 -7`,
          }),
        );
      }
      parts.push(
        box(
          x,
          top,
          m.hash === model.hash ? 'self' : 'model',
          `${plain(m.kind)} ${hash(m.hash)}`,
          `${known(m.decision) ? plain(m.decision) : 'no decision'}${m.champion ? ', champion' : ''}`,
          `/models.html?hash=${encodeURIComponent(m.hash)}`,
        ),
      );
    });
    const wide = line.length * step;
    $('lineage').setAttribute('width', wide + BOX.gap);
    $('lineage').setAttribute('viewBox', `-${BOX.gap} 0 ${wide + BOX.gap} ${top + BOX.high + 4}`);
    swap($('lineage'), ...parts);
  }

  /* ---- where it comes from ---- */
  const signatureState = (m) => {
    const signature = m.statement && list(m.statement, 'signatures')[0];
    if (signature)
      return el('span', {}, verdict('signed', true), ` by key ${hash(signature.keyid)}`);
    return m.statement === undefined ? NONE : verdict('not signed', false);
  };
  function showFacts(m) {
    const l = m.lineage || {},
      recipe = l.recipe || {},
      code = l.code || {},
      machine = l.machine || {},
      cost = l.cost || {};
    const rows = [
      ['file', hashCode(m.hash)],
      ['parent', known(m.parent) ? modelCode(m.parent) : NONE],
      ['data set', known(m.dataset) ? hashCode(m.dataset) : NONE],
      [
        'recordings',
        l.recordings
          ? `${count(l.recordings.train)} to train on, ${count(l.recordings.held_out)} held out`
          : NONE,
      ],
      [
        'recipe',
        known(recipe.seed)
          ? `${plain(recipe.trainer)}, ${count(recipe.imitation_steps)} steps of imitation, ${count(recipe.agent_steps)} agent-steps, seed ${recipe.seed}`
          : NONE,
      ],
      ['program', known(code.version) ? `${code.version}, commit ${hash(code.commit)}` : NONE],
      ['machine', known(machine.cpu_class) ? String(machine.cpu_class) : NONE],
      ['cost', isNumber(cost.core_s) ? `${cost.core_s.toFixed(1)} core-s` : NONE],
      ['release', known(m.release_counter) ? `number ${m.release_counter}` : NONE],
      ['statement', signatureState(m)],
      [
        'names',
        [...list(m.aliases), ...Object.entries(m.tags || {}).map(([k, v]) => `${k}=${v}`)].join(
          ', ',
        ) || NONE,
      ],
      [
        'made again by',
        l.origin === 'trained' ? el('code', {}, `flywheel models rebuild ${hash(m.hash)}`) : NONE,
      ],
    ];
    swap(
      $('model-facts').tBodies[0],
      rows
        .filter(([, cell]) => cell !== NONE)
        .map(([name, cell]) =>
          el('tr', {}, el('th', { scope: 'row' }, name), el('td', { class: 'wide' }, cell)),
        ),
    );
  }

  /* ---- the gate's record ---- */
  const PATH = { wide: 640, high: 230, left: 44, right: 110, top: 14, bottom: 34 };
  function drawPath(record) {
    const points = list(record.log_wealth).filter((p) => Array.isArray(p) && p.every(isNumber)),
      wanted = Math.log(record.hypotheses.e_wanted),
      ys = [0, ...points.map((p) => p[1]), ...(isNumber(wanted) ? [wanted] : [])],
      low = Math.min(...ys) - 0.3,
      high = Math.max(...ys) + 0.3,
      most = Math.max(1, ...points.map((p) => p[0])),
      x = (n) => PATH.left + (n / most) * (PATH.wide - PATH.left - PATH.right),
      y = (v) => PATH.top + ((high - v) / (high - low)) * (PATH.high - PATH.top - PATH.bottom),
      rule = (v, name, kind) => [
        svg('path', {
          class: `rule ${kind}`,
          d: `M${PATH.left} ${y(v)}H${PATH.wide - PATH.right}`,
        }),
        svg('text', { x: PATH.wide - PATH.right + 6, y: y(v) + 4 }, name),
      ];
    $('gate-path-box').hidden = points.length === 0;
    $('gate-path').setAttribute('viewBox', `0 0 ${PATH.wide} ${PATH.high}`);
    swap(
      $('gate-path'),
      ...rule(0, 'as it began', 'zero'),
      ...(isNumber(wanted) ? rule(wanted, 'better is shown', 'good') : []),
      svg('path', {
        class: 'wealth',
        d: `M${x(0)} ${y(0)}${points.map((p) => `L${x(p[0])} ${y(p[1])}`).join('')}`,
      }),
      svg('text', { x: PATH.left, y: PATH.high - 8 }, '0'),
      svg(
        'text',
        { x: x(most), y: PATH.high - 8, 'text-anchor': 'middle' },
        `${count(most)} recordings`,
      ),
      svg('text', { x: 4, y: y(0) + 4 }, '0'),
      ...(isNumber(wanted) ? [svg('text', { x: 4, y: y(wanted) + 4 }, wanted.toFixed(1))] : []),
    );
    $('gate-path-note').textContent = 'log wealth against “not better”, recording by recording';
  }
  function showChecks(record) {
    const slices = list(record.slices).map((s) => ({
      what: `slice ${plain(s.slice)}`,
      value: `${signedPoints(s.difference)} points`,
      wanted: `not under ${signedPoints(-(record.hypotheses.epsilon ?? NaN))}`,
      n: `${count(s.drives)} drives, ${count(s.recordings)} recordings`,
      says: plain(s.verdict),
      good:
        s.verdict === 'kept'
          ? true
          : s.verdict === 'forgotten' || /not shown/.test(s.verdict)
            ? false
            : undefined,
    }));
    const limits = list(record.limits).map((l) => ({
      what: plain(l.limit),
      value: `${isNumber(l.value) ? Number(l.value.toPrecision(3)) : NONE} ${l.unit ?? ''}`,
      wanted: `${plain(l.wanted)} ${isNumber(l.bound) ? Number(l.bound.toPrecision(3)) : NONE} ${l.unit ?? ''}`,
      n: '',
      says: l.held ? 'held' : 'not held',
      good: l.held === true,
    }));
    table(
      'gate-checks',
      [
        { name: 'checked', cell: (r) => r.what },
        { name: 'verdict', cell: (r) => verdict(r.says, r.good) },
        { name: 'found', number: true, cell: (r) => r.value },
        { name: 'wanted', cell: (r) => r.wanted },
        { name: 'n', cell: (r) => r.n },
      ],
      [...slices, ...limits],
      'Nothing besides the primary test.',
    );
  }
  function showGate(decision) {
    const record = decision && decision.record;
    $('gate').hidden = !record;
    if (!record) return;
    const h = record.hypotheses || {},
      p = record.primary || {},
      suite = record.suite || {};
    swap(
      $('gate-note'),
      `decision ${decision.n}, suite ${hash(suite.hash)}, epoch ${count(suite.epoch)}, place ${count(suite.place)}`,
    );
    swap(
      $('gate-say'),
      verdict(record.promote ? 'promoted' : 'refused', record.promote === true),
      ` ${record.reason ?? ''}`,
      el(
        'span',
        { class: 'dim' },
        ` H0: ${plain(h.H0)}; to refute it at alpha ${isNumber(h.alpha_t) ? h.alpha_t.toPrecision(3) : NONE} (of ${h.alpha ?? NONE} for the epoch) the e-value must reach ${isNumber(h.e_wanted) ? Math.round(h.e_wanted) : NONE}; it came to ${isNumber(p.log_e) ? Math.exp(Math.min(p.log_e, 700)).toPrecision(3) : NONE}. Mean difference ${signedPoints(p.mean_difference)} points over ${count(p.recordings)} recordings, ${count(p.drives)} pairs of drives: ${plain(p.outcome)}.`,
      ),
    );
    drawPath({ ...record, hypotheses: h });
    showChecks({ ...record, hypotheses: h });
  }
  async function showModel(wanted, models, decisions) {
    const m = await read(`/v1/models/${encodeURIComponent(wanted)}`),
      row = decisions.find((d) => d.candidate === wanted);
    $('model').hidden = false;
    swap(
      $('model-note'),
      `${hash(m.hash)} · ${plain(m.line)}, ${plain(m.kind)} · `,
      decisionOf(m),
      m.champion ? ' · the fleet’s champion' : '',
      ` · ${utc(m.created_ns)} UTC`,
    );
    drawLineage(m, models);
    showFacts(m);
    showGate(
      row ? await read(`/v1/gate/decisions/${encodeURIComponent(row.n)}`).catch(() => null) : null,
    );
  }

  /* ---- lists ---- */
  function showModels(models) {
    table(
      'models',
      [
        {
          name: 'version',
          number: true,
          cell: (m) => (known(m.version) ? String(m.version) : NONE),
        },
        { name: 'model', cell: (m) => modelCode(m.hash) },
        { name: 'kind', cell: (m) => plain(m.kind) },
        { name: 'decision', cell: decisionOf },
        { name: 'parent', cell: (m) => (known(m.parent) ? modelCode(m.parent) : NONE) },
        { name: 'data set', cell: (m) => (known(m.dataset) ? hashCode(m.dataset) : NONE) },
        {
          name: 'release',
          number: true,
          cell: (m) => (known(m.release_counter) ? String(m.release_counter) : NONE),
        },
        { name: 'made', unit: 'UTC', cell: (m) => utc(m.created_ns) },
        { name: '', cell: (m) => (m.champion ? verdict('champion', true) : '') },
        { name: 'reason', wide: true, cell: (m) => (known(m.reason) ? String(m.reason) : NONE) },
      ],
      [...models].reverse(),
      'No model yet.',
    );
    $('list-note').textContent = models.length ? `${models.length} in all, newest first` : '';
  }
  function showDecisions(rows) {
    table(
      'decisions',
      [
        { name: '#', number: true, cell: (d) => String(d.n) },
        {
          name: 'decision',
          cell: (d) => verdict(d.promoted ? 'promoted' : 'refused', d.promoted === true),
        },
        { name: 'candidate', cell: (d) => modelCode(d.candidate) },
        { name: 'against', cell: (d) => modelCode(d.champion) },
        { name: 'suite', cell: (d) => hash(d.suite) },
        { name: 'epoch', number: true, cell: (d) => count(d.epoch) },
        { name: 'place', number: true, cell: (d) => count(d.place) },
        {
          name: 'alpha spent',
          number: true,
          cell: (d) => (isNumber(d.alpha) ? d.alpha.toPrecision(3) : NONE),
        },
        {
          name: 'evidence',
          unit: 'log e, wanted',
          number: true,
          cell: (d) =>
            isNumber(d.log_e)
              ? `${d.log_e.toFixed(2)}, ${isNumber(d.alpha) && d.alpha > 0 ? Math.log(1 / d.alpha).toFixed(2) : NONE}`
              : NONE,
        },
        { name: 'when', unit: 'UTC', cell: (d) => utc(d.time_ns) },
        { name: 'reason', wide: true, cell: (d) => (known(d.reason) ? String(d.reason) : NONE) },
      ],
      rows,
      'No decision yet.',
    );
    const epochs = new Set(rows.map((d) => d.epoch)),
      newest = rows.filter((d) => d.epoch === Math.max(...epochs)),
      spent = newest.reduce((a, d) => a + (isNumber(d.alpha) ? d.alpha : 0), 0);
    $('decisions-note').textContent = rows.length
      ? `${rows.length} in ${epochs.size} epoch${epochs.size === 1 ? '' : 's'} of suites; in the newest, levels of ${spent.toPrecision(3)} were given out over ${newest.length} candidate${newest.length === 1 ? '' : 's'}`
      : '';
  }
  async function look() {
    try {
      const [models, decisions] = await Promise.all([
        read('/v1/models'),
        read('/v1/gate/decisions').catch(() => []),
      ]);
      const rows = list(models),
        decided = list(decisions);
      showModels(rows);
      showDecisions(decided);
      const wanted = asked('hash') ?? rows.find((m) => m.champion)?.hash;
      if (known(wanted)) await showModel(wanted, rows, decided);
      $('banner').hidden = true;
    } catch (error) {
      $('banner').hidden = false;
      $('banner').textContent = `No word from the factory: ${error.message}`;
    }
  }
  document.addEventListener('DOMContentLoaded', () => watch(look, LIST_MS));
})();

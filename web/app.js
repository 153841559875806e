/* app.js - the dashboard: reads the factory's public API and draws it; it holds no truth of its own.
 *
 *   EventSource /v1/live  --status-->  state.status   --+
 *   fetch /v1/generations, units, models, events, log --+--> render (text nodes only, never markup)
 *   fetch the newest generations' curves              --+
 *   fetch the examiner's /exams.json every 3 s        --+
 *
 * Rules:
 *   1. Every text from outside goes into text nodes: a unit named "<script>" is shown as that name.
 *   2. No figure without its unit; an exam figure never without n and its 95 % interval.
 *   3. Age is shown: when nothing was heard for STALE_MS the page says since when, and greys out.
 *   4. A field that is absent is shown as an em dash, never as 0.
 */
'use strict';
(() => {
  const STALE_MS = 12000,
    EXAM_MS = 3000,
    LIST_MS = 1000,
    RECONNECT_MS = 3000;
  const RUNNING = /^(dataset|curate|train|gate|registry|rollout)$/;
  const {
    NONE,
    $,
    el,
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
    hashCode,
    modelCode,
    signedPoints,
    table,
    read,
  } = window.FlywheelWords;
  const BASELINES = ['sumo', 'idm', 'untrained', 'constant'];
  const state = {
    status: null,
    generations: [],
    units: [],
    models: null,
    events: [],
    campaigns: [],
    rollouts: [],
    log: [],
    exams: [],
    curves: new Map() /* generation -> { points, wanted, final } */,
    heard: {},
  };

  /* ---- what the factory says, under the names this page uses ---- */
  function verdict(generation) {
    const words = `${pick(generation, 'decision') || ''} ${generation.stage || ''}`.toLowerCase();
    if (/promot|initial/.test(words)) return 'promoted';
    if (/refus|reject/.test(words)) return 'refused';
    if (/fail|error/.test(words)) return 'failed';
    return 'running';
  }
  const generationIndex = (g) => g.index;
  const championHash = () => pick(state.status, 'champion');
  function stageNow() {
    const stage = pick(state.status, 'stage');
    const running = state.generations.find((g) => RUNNING.test(String(g.stage)));
    const text = String(stage || (running && running.stage) || '').toLowerCase();
    if (text.startsWith('dataset')) return 'curate';
    return (
      ['curate', 'train', 'gate', 'registry', 'rollout'].find((s) => text.startsWith(s)) || 'units'
    );
  }

  /* ---- exams: which generation or baseline does a result belong to ---- */
  function examSubject(exam) {
    const policy = String(pick(exam, 'policy', 'model') || ''),
      label = String(pick(exam, 'label', 'name') || '');
    const baseline = BASELINES.find((b) => label.toLowerCase() === b || policy.toLowerCase() === b);
    const named = /^(?:g|gen|generation)[ _-]?(\d+)$/i.exec(label);
    const indexes = state.generations
      .filter((g) => policy && String(pick(g, 'model')) === policy && verdict(g) !== 'running')
      .map(generationIndex)
      .filter(isNumber);
    if (named) indexes.push(Number(named[1]));
    return { baseline, generations: [...new Set(indexes)] };
  }
  /* Of two exams of the same, the one of more drives counts; then the later one. */
  function better(exam, than) {
    if (!than || !isNumber(than.drives)) return true;
    if (exam.drives !== than.drives) return exam.drives > than.drives;
    return (exam.finished_ns || 0) >= (than.finished_ns || 0);
  }
  /* A generation 0 stands in no list: it is the model the first one started from. */
  function withGenerationZero(rows) {
    const first = rows.find((g) => generationIndex(g) === 1);
    const model = first ? first.parent : rows.length === 0 ? championHash() : undefined;
    if (!known(model) || rows.some((g) => generationIndex(g) === 0)) return rows;
    const zero = { index: 0, model, decision: 'promoted', reason: 'the first model of the fleet' };
    return [zero, ...rows];
  }
  const guarded = (exam) => exam.guard === true || exam.guard === 1 || exam.guarded === true;
  const interval = (exam) => `[${share(exam.clean_low)}, ${share(exam.clean_high)}]`;
  /* { network: { curves: {alone: Map, guarded: Map}, baselines: {name: {alone, guarded}} } } */
  function curves() {
    const networks = {};
    for (const exam of state.exams) {
      if (!known(exam.network) || !isNumber(exam.clean)) continue;
      const network =
        networks[exam.network] ||
        (networks[exam.network] = {
          curves: { alone: new Map(), guarded: new Map() },
          baselines: {},
        });
      const arm = guarded(exam) ? 'guarded' : 'alone',
        subject = examSubject(exam);
      const baseline = subject.baseline ? (network.baselines[subject.baseline] ||= {}) : null;
      if (baseline && better(exam, baseline[arm])) baseline[arm] = exam;
      const curve = network.curves[arm];
      for (const index of subject.generations)
        if (better(exam, curve.get(index))) curve.set(index, exam);
    }
    return networks;
  }

  /* ---- stations ---- */
  function station(name, title, href, big, unit, more, extra) {
    const active =
      stageNow() === name || (name === 'ingest' && Date.now() - (state.heard.growth || 0) < 3000);
    const node = el(
      'li',
      { class: 'station', 'data-station': name, 'data-active': String(active && isLive()) },
      el(
        'h3',
        {},
        el('a', { href }, title),
        el(
          'span',
          { class: 'state' },
          extra && extra.state ? extra.state : active && isLive() ? 'now' : '',
        ),
      ),
      el('div', { class: 'big' }, big, unit ? el('span', { class: 'unit' }, unit) : null),
      ...[more]
        .flat()
        .filter(Boolean)
        .map((line) => el('div', { class: 'more' }, line)),
    );
    if (extra && isNumber(extra.progress)) {
      const percent = Math.max(0, Math.min(100, 100 * extra.progress));
      node.append(
        el(
          'div',
          {
            class: 'meter',
            role: 'progressbar',
            'aria-label': `${title} progress`,
            'aria-valuenow': percent.toFixed(0),
            'aria-valuemin': 0,
            'aria-valuemax': 100,
          },
          el('i', { style: `width:${percent.toFixed(1)}%` }),
        ),
      );
    }
    return node;
  }
  function progressOf(stage) {
    const p = pick(state.status, 'progress') || {};
    const done = p.done,
      total = p.total;
    if (stageNow() !== stage || !isNumber(done) || !isNumber(total) || total <= 0) return {};
    const pace = [
      isNumber(p.per_s) ? `${steps(p.per_s)} ${known(p.unit) ? p.unit : ''}/s` : null,
      isNumber(p.left_s) ? `${seconds(Math.round(p.left_s))} left` : null,
    ].filter(Boolean);
    return {
      progress: done / total,
      lines: [
        `${pick(p, 'phase') || 'done'}: ${steps(done)} of ${steps(total)}`,
        pace.length ? pace.join(', ') : null,
      ],
    };
  }
  const sum = (rows, name) =>
    rows.some((r) => isNumber(r[name]))
      ? rows.reduce((a, r) => a + (isNumber(r[name]) ? r[name] : 0), 0)
      : undefined;
  function lastDecided() {
    return [...state.generations]
      .filter((g) => ['promoted', 'refused'].includes(verdict(g)) && isNumber(gateOf(g).scenarios))
      .pop();
  }
  const gateOf = (g) => (pick(g, 'gate') && typeof g.gate === 'object' ? g.gate : g || {});
  /* The last promoted models, oldest first: each link is the model's bytes. */
  function lineage() {
    const models = state.generations
      .filter((g) => verdict(g) === 'promoted' && known(g.model))
      .map((g) => g.model)
      .slice(-4);
    return models.length < 2
      ? null
      : el(
          'span',
          {},
          'lineage ',
          models.flatMap((m, i) => [i ? ' → ' : '', modelCode(m)]),
        );
  }
  /* The newest rollout, while it is on its way or when it was stopped. */
  function rolloutWords() {
    const r = state.rollouts[0];
    if (!r || r.state === 'done') return null;
    return `rollout ${r.n} ${plain(r.state)}: ring ${count(r.ring + 1)} of ${count(r.rings)}, ${count(r.active)} of ${count(r.units)} units`;
  }
  function renderLoop() {
    const s = state.status || {},
      units = state.units,
      newest = [...state.generations].pop() || {};
    const ticks = units.map((u) => pick(u, 'tick')).filter(isNumber),
      tick = ticks.length ? Math.max(...ticks) : pick(s, 'tick');
    const recordings = pick(s, 'recordings'),
      size = pick(s, 'bytes');
    const champion = championHash(),
      have = units.filter((u) => pick(u, 'active') === champion).length;
    const train = progressOf('train'),
      gate = lastDecided(),
      gateNow = progressOf('gate');
    const trained =
      newest.agent_steps > 0
        ? newest
        : [...state.generations].reverse().find((g) => g.agent_steps > 0) || {};
    const decisions = state.generations.map(verdict);
    const lost = sum(units, 'lost_bytes'),
      spool = sum(units, 'spool_bytes');
    const exam =
      [...state.exams].reverse().find((e) => examSubject(e).generations.length) ||
      [...state.exams].pop();
    swap(
      $('loop'),
      station(
        'world',
        'world',
        '/v1/units',
        count(tick),
        'ticks',
        isNumber(tick)
          ? [`${seconds(tick / 10)} at 10 Hz`, 'known to the factory only by uploads']
          : 'no unit has reported',
      ),
      station('units', 'units', '/v1/units', count(pick(s, 'units') ?? units.length), 'cars', [
        isNumber(s.units_recent) ? `${count(s.units_recent)} heard in the last minute` : null,
        `spool ${bytes(spool)}`,
        el('span', { class: lost > 0 ? 'wrong' : null }, `lost ${bytes(lost)}`),
      ]),
      station('ingest', 'ingest', '/v1/recordings', count(recordings), 'recordings', [
        bytes(size),
        `${count(pick(s, 'events'))} events flagged`,
      ]),
      station(
        'curate',
        'curate',
        '/v1/generations',
        count(pick(newest, 'recordings')),
        'recordings',
        known(newest.dataset)
          ? [
              el('span', {}, 'data set ', hashCode(newest.dataset)),
              `of generation ${count(generationIndex(newest))}`,
            ]
          : 'no data set closed yet',
      ),
      station(
        'train',
        'train',
        '/v1/generations',
        steps(pick(trained, 'agent_steps')),
        'agent-steps',
        train.lines ||
          (trained.agent_steps
            ? `${seconds(pick(trained, 'train_core_s'))} core time, generation ${count(generationIndex(trained))}`
            : 'no run yet'),
        train,
      ),
      station(
        'gate',
        'gate',
        '/models.html',
        gate ? signedPoints(gateOf(gate).difference) : NONE,
        gate ? 'points' : '',
        gateNow.lines ||
          (gate
            ? [
                `${gatePointsInterval(gateOf(gate))}, n = ${count(gateOf(gate).scenarios)} held-out scenarios`,
                `generation ${count(generationIndex(gate))} ${verdict(gate)}`,
              ]
            : 'no decision yet'),
        gateNow,
      ),
      station(
        'registry',
        'registry',
        '/models.html',
        known(champion) ? hash(champion) : NONE,
        'champion',
        [
          `${count(state.models === null ? pick(s, 'models') : state.models.length)} models · ${decisions.filter((d) => d === 'promoted').length} promoted · ${decisions.filter((d) => d === 'refused').length} refused`,
          lineage(),
        ],
      ),
      station(
        'rollout',
        'rollout',
        '/rollouts.html',
        units.length ? `${have} of ${units.length}` : NONE,
        'on the champion',
        units.length
          ? [
              have === units.length
                ? 'the whole fleet drives it'
                : `${units.length - have} not on it`,
              rolloutWords(),
            ]
          : 'no unit has reported',
        units.length ? { progress: have / units.length } : {},
      ),
      station(
        'exam',
        'examiner',
        examsUrl(),
        exam ? share(exam.clean) : NONE,
        exam ? 'clean drives' : '',
        exam
          ? [
              `${interval(exam)}, n = ${count(exam.drives)}`,
              `${String(pick(exam, 'label') || hash(exam.policy))}, ${exam.network ?? NONE}, ${guarded(exam) ? 'guarded' : 'alone'}`,
              s.confined === true ? 'store closed to the factory by the kernel' : null,
            ]
          : ['no exam yet', 'own world, own store'],
      ),
    );
    $('loop-note').textContent =
      known(pick(s, 'generation')) && isNumber(s.generation) ? `generation ${s.generation}` : '';
  }
  const gatePointsInterval = (g) =>
    isNumber(g.low) && isNumber(g.high)
      ? `[${signedPoints(g.low)}, ${signedPoints(g.high)}]`
      : NONE;

  /* ---- tables ---- */
  /* Known once the gate has driven both models. */
  function replayButton(g) {
    if (!isNumber(gateOf(g).difference)) return NONE;
    const button = el('button', { type: 'button', class: 'small' }, 'failure and fix');
    button.addEventListener('click', () => window.FlywheelReplay.open(generationIndex(g)));
    return button;
  }
  function renderGenerations() {
    const rows = [...state.generations].reverse();
    const link = (g, text) =>
      el('a', { href: `/v1/generations/${encodeURIComponent(generationIndex(g))}` }, text);
    table(
      'generations',
      [
        { name: '#', number: true, cell: (g) => link(g, count(generationIndex(g))) },
        {
          name: 'decision',
          cell: (g) =>
            el(
              'span',
              { class: 'verdict', 'data-verdict': verdict(g) },
              verdict(g) === 'running' ? String(pick(g, 'stage') || 'running') : verdict(g),
            ),
        },
        { name: 'model', cell: (g) => modelCode(pick(g, 'candidate', 'model')) },
        { name: 'parent', cell: (g) => modelCode(g.parent) },
        {
          name: 'gate, held out',
          unit: 'points [95 %], n',
          number: true,
          cell: (g) => {
            const d = gateOf(g);
            return isNumber(d.difference)
              ? `${signedPoints(d.difference)} ${gatePointsInterval(d)}, ${count(d.scenarios)}`
              : NONE;
          },
        },
        { name: 'recordings', number: true, cell: (g) => count(g.recordings) },
        { name: 'uploaded', number: true, cell: (g) => bytes(g.bytes_uploaded) },
        { name: 'agent-steps', number: true, cell: (g) => steps(g.agent_steps) },
        {
          name: 'training',
          unit: 'core-s',
          number: true,
          cell: (g) => (isNumber(g.train_core_s) ? g.train_core_s.toFixed(1) : NONE),
        },
        { name: 'event to model', number: true, cell: (g) => seconds(g.event_to_model_s) },
        { name: 'replay', cell: replayButton },
        {
          name: 'reason',
          wide: true,
          cell: (g) => (known(g.reason) ? String(g.reason) : NONE),
        },
      ],
      rows,
      'No generation yet: the first data set closes when the first recordings are in.',
    );
    const d = rows.map(verdict);
    $('generations-note').textContent = rows.length
      ? `${rows.length} in all, ${d.filter((v) => v === 'promoted').length} promoted, ${d.filter((v) => v === 'refused').length} refused`
      : '';
  }
  function renderUnits() {
    const champion = championHash(),
      now = Date.now();
    table(
      'units',
      [
        { name: 'unit', cell: (u) => String(pick(u, 'id') ?? NONE) },
        { name: 'data', cell: (u) => String(u.role ?? NONE).replace(/_/g, ' ') },
        {
          name: 'active model',
          cell: (u) => {
            const a = pick(u, 'active', 'model');
            return known(a)
              ? el(
                  'span',
                  { class: known(champion) && a !== champion ? 'late' : null },
                  modelCode(a),
                  known(champion) && a !== champion ? ' behind' : '',
                )
              : NONE;
          },
        },
        { name: 'staged', cell: (u) => modelCode(u.staged) },
        { name: 'tick', number: true, cell: (u) => count(u.tick) },
        { name: 'recordings', number: true, cell: (u) => count(u.recordings) },
        { name: 'spool', number: true, cell: (u) => bytes(u.spool_bytes) },
        {
          name: 'lost',
          number: true,
          cell: (u) =>
            el('span', { class: u.lost_bytes > 0 ? 'wrong' : null }, bytes(u.lost_bytes)),
        },
        {
          name: 'heard',
          number: true,
          cell: (u) => {
            const age = isNumber(u.age_s) ? u.age_s + (now - state.heard.units) / 1000 : undefined;
            return isNumber(age) ? `${seconds(age)} ago` : NONE;
          },
        },
      ],
      state.units,
      'No unit has reported yet.',
    );
    $('units-note').textContent = state.units.length
      ? `${state.units.length} cars, each its own process`
      : '';
  }
  /* Only where there are campaigns: most factories live without. */
  function renderCampaigns() {
    const why = { person: 'ended', expired: 'expired', budget: 'budget spent' };
    const open = state.campaigns.filter((c) => c.state === 'open').length;
    $('campaigns-box').hidden = state.campaigns.length === 0;
    table(
      'campaigns',
      [
        {
          name: 'campaign',
          cell: (c) =>
            el(
              'a',
              { href: `/v1/campaigns/${encodeURIComponent(String(c.id))}` },
              String(c.id ?? NONE),
            ),
        },
        {
          name: 'state',
          cell: (c) => (c.state === 'ended' ? (why[c.why] ?? 'ended') : String(c.state ?? NONE)),
        },
        { name: 'captures', number: true, cell: (c) => count(c.captures) },
        { name: 'size', number: true, cell: (c) => bytes(c.captured_bytes) },
        { name: 'units', number: true, cell: (c) => count(c.captured_units) },
        {
          name: 'when',
          wide: true,
          cell: (c) => el('code', {}, String(pick(c, 'campaign.when') ?? NONE)),
        },
      ],
      state.campaigns,
      'No campaign.',
    );
    $('campaigns-note').textContent = `what units are asked to capture: ${open} open`;
  }
  function renderEvents() {
    const rows = state.events.slice(0, 60);
    table(
      'events',
      [
        {
          name: 'when',
          cell: (e) => {
            const t = timeMs(e.time_ns);
            return t
              ? clock(t)
              : isNumber(e.tick)
                ? `tick ${count(e.tick)}`
                : isNumber(e.time_ns)
                  ? `${(e.time_ns / 1e9).toFixed(1)} s`
                  : NONE;
          },
        },
        { name: 'unit', cell: (e) => String(pick(e, 'unit') ?? NONE) },
        {
          name: 'event',
          cell: (e) => String(pick(e, 'kind') ?? NONE).replace(/_/g, ' '),
        },
        { name: 'recording', cell: (e) => hashCode(e.recording) },
        {
          name: 'receipt',
          cell: (e) =>
            isNumber(e.id) ? el('a', { href: `/receipt.html?event=${e.id}` }, 'receipt') : NONE,
        },
      ],
      rows,
      'No event flagged yet.',
    );
    $('events-note').textContent = rows.length
      ? `newest ${rows.length}, flagged by the units themselves`
      : '';
  }
  function renderLog() {
    const line = (entry) => {
      const t = timeMs(entry.time_ns),
        kind = String(entry.kind ?? NONE);
      return el(
        'li',
        {},
        t ? el('time', { datetime: new Date(t).toISOString() }, `${clock(t)} `) : null,
        el('span', { class: 'verdict', 'data-verdict': kind }, kind),
        ` ${entry.text ?? NONE}`,
      );
    };
    const empty = el('li', { class: 'empty' }, 'No decision yet.');
    swap($('log'), state.log.length === 0 ? empty : state.log.map(line));
  }

  /* ---- the improvement curve ---- */
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  function palette() {
    const dark = matchMedia('(prefers-color-scheme: dark)').matches;
    return {
      alone: dark ? '#e5ac4d' : '#b06a00',
      guarded: dark ? '#5fb0f2' : '#1769b0',
      ink: colour('--ink'),
      dim: colour('--dim'),
      line: colour('--line'),
      sumo: dark ? '#5cc98b' : '#1a7a45',
      idm: dark ? '#c79bf0' : '#7a3fb0',
      untrained: dark ? '#93a2af' : '#5a6875',
      constant: dark ? '#f28b82' : '#b3261e',
    };
  }
  const faded = (hex, alpha = '2e') => `${hex}${alpha}`;
  const charts = new Map(); /* network -> { node, plot, signature } */
  function chartData(network) {
    const indexes = [
      ...new Set([...network.curves.alone.keys(), ...network.curves.guarded.keys()]),
    ].sort((a, b) => a - b);
    const xs = indexes.length ? indexes : [0];
    const column = (arm, field) =>
      xs.map((x) => {
        const e = network.curves[arm].get(x);
        return e && isNumber(e[field]) ? 100 * e[field] : null;
      });
    const data = [xs];
    for (const arm of ['alone', 'guarded'])
      for (const field of ['clean', 'clean_low', 'clean_high']) data.push(column(arm, field));
    const lines = BASELINES.filter(
      (name) => network.baselines[name] && network.baselines[name].alone,
    );
    for (const name of lines) data.push(xs.map(() => 100 * network.baselines[name].alone.clean));
    return { data, lines };
  }
  const axisLook = (p) => ({
    stroke: p.dim,
    grid: { stroke: p.line, width: 1 },
    ticks: { stroke: p.line, width: 1 },
    font: '12px system-ui, sans-serif',
    labelSize: 18,
    labelFont: '12px system-ui, sans-serif',
  });
  function chartOptions(width, lines, xs, onIndex) {
    const p = palette(),
      axis = axisLook(p),
      first = xs[0],
      last = xs[xs.length - 1];
    const edge = (arm) => ({
      stroke: 'transparent',
      width: 0,
      points: { show: false },
      label: `${arm} interval`,
    });
    const curve = (arm) => ({
      label: arm,
      stroke: p[arm],
      width: 2.5,
      points: { show: true, size: 8, stroke: p[arm], fill: p[arm] },
    });
    return {
      width,
      height: 270,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false } },
      scales: {
        x: { time: false, range: [first - 0.35, Math.max(last, first + 2) + 0.35] },
        y: { range: [0, 100] },
      },
      series: [
        {},
        curve('alone'),
        edge('alone'),
        edge('alone'),
        curve('guarded'),
        edge('guarded'),
        edge('guarded'),
        ...lines.map((name) => ({
          label: name,
          stroke: p[name],
          width: 1.5,
          dash: [6, 5],
          points: { show: false },
          paths: (u, series) => {
            const path = new Path2D();
            const y = u.valToPos(u.data[series][0], 'y', true);
            path.moveTo(u.bbox.left, y);
            path.lineTo(u.bbox.left + u.bbox.width, y);
            return { stroke: path };
          },
        })),
      ],
      bands: [
        { series: [3, 2], fill: faded(p.alone) },
        { series: [6, 5], fill: faded(p.guarded) },
      ],
      axes: [
        {
          ...axis,
          label: 'generation',
          size: 28,
          incrs: [1, 2, 5, 10, 20, 50],
        },
        { ...axis, size: 52, values: (u, vs) => vs.map((v) => `${v} %`) },
      ],
      hooks: { setCursor: [(u) => onIndex(u.cursor.idx)] },
    };
  }
  function sayPoint(network, x) {
    const words = ['alone', 'guarded']
      .map((arm) => {
        const e = network.curves[arm].get(x);
        return e ? `${arm} ${share(e.clean)} ${interval(e)}, n = ${count(e.drives)}` : null;
      })
      .filter(Boolean);
    return words.length ? `Generation ${x}: ${words.join(' · ')}` : 'No exam of a fleet model yet.';
  }
  function chartKey(network) {
    const p = palette(),
      items = [];
    for (const arm of ['alone', 'guarded']) {
      const exam = [...network.curves[arm].entries()]
        .sort((a, b) => b[0] - a[0])
        .map((e) => e[1])[0];
      if (exam)
        items.push(
          el(
            'li',
            {},
            el('i', { style: `border-color:${p[arm]}` }),
            `${arm === 'alone' ? 'network alone' : 'with the guard, as units run it'} `,
            el('b', {}, share(exam.clean)),
          ),
        );
    }
    for (const name of BASELINES) {
      const b = network.baselines[name];
      if (b && b.alone)
        items.push(
          el(
            'li',
            {},
            el('i', { class: 'dashed', style: `border-color:${p[name]}` }),
            `${name} `,
            el('b', {}, share(b.alone.clean)),
            ` ${interval(b.alone)}, n = ${count(b.alone.drives)}`,
            b.guarded ? ` (guarded ${share(b.guarded.clean)})` : '',
          ),
        );
    }
    return items;
  }
  function drawChart(name, network) {
    const { data, lines } = chartData(network),
      xs = data[0];
    let chart = charts.get(name);
    if (!chart) {
      const note = { acosta: 'trained on its recordings', pasubio: 'exams only: never trained on' }[
        name
      ];
      chart = {
        plotBox: el('div', {}),
        say: el('p', { class: 'point-note' }),
        key: el('ul', { class: 'key' }),
      };
      chart.node = el(
        'figure',
        {
          class: 'chart',
          'data-network': name,
          'aria-label': `Clean share per generation on ${name}`,
        },
        el('h3', {}, name, ' ', el('small', {}, note || '')),
        chart.plotBox,
        chart.say,
        chart.key,
      );
      charts.set(name, chart);
      $('charts').append(chart.node);
    }
    const width = Math.max(240, Math.floor(chart.node.clientWidth - 26));
    const signature = JSON.stringify([data, lines, width, palette().ink]);
    if (signature === chart.signature) return;
    chart.signature = signature;
    chart.node.dataset.points = JSON.stringify({
      generations: xs,
      alone: data[1],
      guarded: data[4],
      baselines: lines,
    });
    if (chart.plot) chart.plot.destroy();
    const newest = xs[xs.length - 1];
    chart.say.textContent = sayPoint(network, newest);
    swap(chart.key, chartKey(network));
    if (typeof window.uPlot !== 'function') {
      chart.plotBox.textContent =
        'The chart library did not load; the figures stand in the table below.';
      $('curve-table-box').open = true;
      return;
    }
    chart.plot = new window.uPlot(
      chartOptions(width, lines, xs, (i) => {
        chart.say.textContent = sayPoint(network, isNumber(i) ? xs[i] : newest);
      }),
      data,
      chart.plotBox,
    );
  }
  function renderExams() {
    const networks = curves(),
      names = Object.keys(networks).sort();
    $('charts-empty').hidden = names.length > 0;
    for (const [name, chart] of charts)
      if (!networks[name]) {
        chart.node.remove();
        charts.delete(name);
      }
    for (const name of names) drawChart(name, networks[name]);
    const rate = (field) => ({
      number: true,
      cell: (e) => (isNumber(e[field]) ? e[field].toFixed(2) : NONE),
    });
    table(
      'exams',
      [
        {
          name: 'policy',
          cell: (e) => {
            const s = examSubject(e);
            const of = s.generations.length ? [`generation ${s.generations.join(', ')}`] : [];
            if (s.baseline) of.unshift(s.baseline);
            return of.join(' = ') || String(pick(e, 'label') || hash(e.policy));
          },
        },
        { name: 'network', cell: (e) => String(e.network ?? NONE) },
        { name: 'guard', cell: (e) => (guarded(e) ? 'with' : 'alone') },
        { name: 'clean', number: true, cell: (e) => share(e.clean) },
        { name: '95 % interval', number: true, cell: interval },
        { name: 'n', unit: 'drives', number: true, cell: (e) => count(e.drives) },
        {
          name: 'over runs',
          unit: '[95 %], runs',
          number: true,
          cell: (e) =>
            isNumber(e.runs)
              ? `[${share(e.clean_cluster_low)}, ${share(e.clean_cluster_high)}], ${count(e.runs)}`
              : NONE,
        },
        {
          name: 'clean',
          unit: 'without listed junctions',
          number: true,
          cell: (e) => share(pick(e, 'clean_without_listed_junctions.clean')),
        },
        { name: 'collisions', unit: '1/km', ...rate('collisions_per_km') },
        { name: 'at fault', unit: '1/km', ...rate('at_fault_per_km') },
        { name: 'red lights', unit: '1/km', ...rate('red_light_runs_per_km') },
        { name: 'off lane', unit: 'of drives', number: true, cell: (e) => share(e.off_lane) },
        { name: 'stuck', unit: 'of drives', number: true, cell: (e) => share(e.stuck) },
        { name: 'hard brakes', unit: '1/km', ...rate('hard_brakes_per_km') },
        { name: 'mean speed', unit: 'm/s', ...rate('mean_speed_mps') },
        {
          name: 'vetoed',
          unit: 'of ticks',
          number: true,
          cell: (e) => share(pick(e, 'veto_share')),
        },
      ],
      [...state.exams].reverse(),
      'No exam yet.',
    );
  }

  /* ---- the training curve: the newest generation that has one, earlier ones faint behind it ---- */
  const EARLIER = 4;
  const decimals = (v, digits) => (isNumber(v) ? v.toFixed(digits) : NONE);
  const FIGURES = [
    { field: 'loss', name: 'loss', say: (v) => decimals(v, 3) },
    { field: 'entropy', name: 'entropy', unit: 'nats', say: (v) => decimals(v, 2) },
    {
      field: 'clean_share',
      name: 'clean drives',
      unit: 'in training',
      say: share,
      range: [0, 1.02],
    },
  ];
  const trainingCharts = new Map(); /* field -> { node, box, now, plot, look } */
  /* The generations drawn, newest first. */
  function trained() {
    return [...state.curves.entries()]
      .filter(([, curve]) => curve.points.length > 0)
      .sort((a, b) => b[0] - a[0])
      .slice(0, 1 + EARLIER)
      .map(([index, curve]) => ({ index, ...curve }));
  }
  /* One column of agent-steps for all of them, and a column of values for each, the newest last (on top). */
  function trainingData(shown, field) {
    const xs = [...new Set(shown.flatMap((c) => c.points.map((p) => p.agent_steps)))].sort(
      (a, b) => a - b,
    );
    const column = (curve) => {
      const at = new Map(curve.points.map((p) => [p.agent_steps, p[field]]));
      return xs.map((x) => (isNumber(at.get(x)) ? at.get(x) : null));
    };
    return [xs, ...[...shown].reverse().map(column)];
  }
  function trainingOptions(chart, figure, width, lonely) {
    const p = palette(),
      axis = axisLook(p);
    const curve = (newest) => ({
      stroke: newest ? p.guarded : faded(p.dim, '55'),
      width: newest ? 2 : 1.25,
      spanGaps: true,
      points: newest && lonely ? { show: true, size: 7, fill: p.guarded } : { show: false },
    });
    return {
      width,
      height: 190,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, sync: { key: 'training' } },
      scales: {
        x: { time: false, range: () => [0, chart.end] },
        y: figure.range ? { range: figure.range } : {},
      },
      series: [{}, ...chart.shown.map((_, i) => curve(i === chart.shown.length - 1))],
      axes: [
        { ...axis, label: 'agent-steps', size: 28, space: 60, values: (u, vs) => vs.map(steps) },
        {
          ...axis,
          size: 54,
          values: (u, vs) =>
            vs.map((v) => (figure.range ? `${Math.round(100 * v)} %` : String(+v.toFixed(4)))),
        },
      ],
      hooks: {
        setCursor: [
          (u) => {
            pointedAt = isNumber(u.cursor.idx) ? u.data[0][u.cursor.idx] : null;
            sayTraining();
          },
        ],
      },
    };
  }
  /* The newest generation's last update, or the one that is pointed at, in words. */
  let pointedAt = null; /* agent-steps */
  function sayTraining() {
    const newest = trained()[0];
    if (!newest) return;
    const upTo = newest.points.filter((p) => pointedAt === null || p.agent_steps <= pointedAt),
      point = upTo[upTo.length - 1] || newest.points[0];
    const words = FIGURES.map((f) =>
      [f.name, f.say(point[f.field]), f.range ? null : f.unit].filter(Boolean).join(' '),
    );
    $('training-say').textContent =
      `Generation ${newest.index} after ${steps(point.agent_steps)} agent-steps: ${words.join(' · ')}`;
  }
  function trainingChart(figure) {
    let chart = trainingCharts.get(figure.field);
    if (chart) return chart;
    chart = { box: el('div', {}), shown: [] };
    chart.node = el(
      'figure',
      { class: 'chart', 'data-curve': figure.field },
      el('h3', {}, figure.name, ' ', el('small', {}, figure.unit || '')),
      chart.box,
    );
    trainingCharts.set(figure.field, chart);
    $('training').append(chart.node);
    return chart;
  }
  function drawTraining(figure, shown) {
    const chart = trainingChart(figure),
      newest = shown[0],
      data = trainingData(shown, figure.field),
      width = Math.max(220, Math.floor(chart.node.clientWidth - 26));
    chart.node.setAttribute(
      'aria-label',
      `${figure.name} over agent-steps, training of generation ${newest.index}`,
    );
    chart.node.dataset.generations = shown.map((c) => c.index).join(' ');
    chart.node.dataset.points = String(newest.points.length);
    if (typeof window.uPlot !== 'function') {
      chart.box.textContent =
        'The chart library did not load; the figures stand in the table below.';
      $('training-table-box').open = true;
      return;
    }
    chart.end = Math.max(
      ...shown.map((c) => c.points[c.points.length - 1].agent_steps),
      newest.wanted,
    );
    chart.shown = shown.map((c) => c.index);
    const lonely = newest.points.filter((p) => isNumber(p[figure.field])).length < 2;
    const look = JSON.stringify([chart.shown, width, lonely, palette().ink]);
    const figures = JSON.stringify([data, chart.end]);
    if (look === chart.look && figures === chart.figures) return;
    if (look === chart.look) {
      chart.plot.setData(data);
    } else {
      if (chart.plot) chart.plot.destroy();
      chart.plot = new window.uPlot(trainingOptions(chart, figure, width, lonely), data, chart.box);
    }
    chart.look = look;
    chart.figures = figures;
  }
  function renderTraining() {
    const shown = trained(),
      newest = shown[0];
    $('training-empty').hidden = newest !== undefined;
    $('training-box').hidden = newest === undefined;
    $('training-note').textContent = newest
      ? newest.final
        ? `generation ${newest.index}, over agent-steps`
        : `generation ${newest.index} trains now, over agent-steps`
      : '';
    if (!newest) return;
    FIGURES.forEach(trainingChart); /* all of them first: they share the width */
    for (const figure of FIGURES) drawTraining(figure, shown);
    sayTraining();
    const p = palette(),
      earlier = shown
        .slice(1)
        .map((c) => c.index)
        .reverse();
    swap(
      $('training-key'),
      el('li', {}, el('i', { style: `border-color:${p.guarded}` }), `generation ${newest.index}`),
      earlier.length
        ? el(
            'li',
            {},
            el('i', { style: `border-color:${p.dim};opacity:0.5;border-top-width:2px` }),
            `before it: ${earlier.length > 1 ? 'generations' : 'generation'} ${earlier.join(', ')}`,
          )
        : null,
    );
    const cell = (field, digits) => (row) => decimals(row[field], digits);
    table(
      'training-table',
      [
        { name: 'agent-steps', number: true, cell: (row) => count(row.agent_steps) },
        { name: 'loss', number: true, cell: cell('loss', 4) },
        { name: 'value loss', number: true, cell: cell('value_loss', 4) },
        { name: 'entropy', unit: 'nats', number: true, cell: cell('entropy', 3) },
        { name: 'gradient norm', number: true, cell: cell('gradient_norm', 3) },
        { name: 'clean drives', number: true, cell: (row) => share(row.clean_share) },
      ],
      [...newest.points].reverse(),
      'No update yet.',
    );
  }

  /* ---- freshness ---- */
  let wasLive = false;
  const isLive = () =>
    state.heard.status !== undefined && Date.now() - state.heard.status < STALE_MS;
  function renderFreshness() {
    const now = Date.now(),
      heard = state.heard.status,
      live = isLive();
    if (live !== wasLive) {
      wasLive = live;
      renderLoop();
    }
    const lost = !live && (heard !== undefined || now - started > STALE_MS / 2);
    $('link').dataset.state = live ? 'live' : lost ? 'lost' : 'waiting';
    $('link-text').textContent = live
      ? `live, ${seconds((now - heard) / 1000)} old`
      : heard === undefined
        ? lost
          ? 'not connected'
          : 'connecting'
        : `lost ${seconds((now - heard) / 1000)} ago`;
    const banner = $('banner'),
      words = !lost
        ? ''
        : heard === undefined
          ? 'The factory does not answer. Is `flywheel serve` running? This page connects by itself.'
          : `No word from the factory since ${clock(heard)}: the figures below are from then. This page reconnects by itself.`;
    if (banner.textContent !== words) banner.textContent = words;
    banner.hidden = !lost;
    document.body.classList.toggle('stale', lost);
    document.body.classList.toggle('turning', live && stageNow() !== 'units');
    const age = (name) =>
      state.heard[name]
        ? `${name} ${seconds((now - state.heard[name]) / 1000)}`
        : `${name} ${NONE}`;
    $('ages').textContent =
      `Age of the data: ${['status', 'generations', 'units', 'models', 'events', 'log', 'exams'].map(age).join(' · ')}`;
    $('exam-age').textContent =
      state.exams.length === 0
        ? 'no exam yet'
        : `${state.exams.length} exam${state.exams.length > 1 ? 's' : ''}, read ${seconds((now - state.heard.exams) / 1000)} ago${now - state.heard.exams > STALE_MS ? ' (the examiner does not answer)' : ''}`;
  }
  function renderFacts() {
    const s = state.status || {},
      facts = [['champion', el('span', { class: 'hash' }, hash(championHash()))]];
    if (isNumber(s.uptime_s)) facts.push(['up', seconds(s.uptime_s)]);
    if (known(s.version)) facts.push(['version', String(s.version)]);
    const used = s.objects_bytes,
      cap = s.disk_cap_bytes;
    if (isNumber(used))
      facts.push(['objects', isNumber(cap) ? `${bytes(used)} of ${bytes(cap)}` : bytes(used)]);
    swap(
      $('facts'),
      facts.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))),
    );
  }
  function render() {
    renderFacts();
    renderLoop();
    renderGenerations();
    renderUnits();
    renderCampaigns();
    renderEvents();
    renderLog();
    renderExams();
    renderTraining();
    renderFreshness();
  }

  /* ---- reading ---- */
  function examsUrl() {
    const given = new URLSearchParams(location.search).get('exams-port');
    const port = /^\d{1,5}$/.test(given || '') ? given : String(Number(location.port || 80) + 1);
    /* The page's own policy names the examiner's address as 127.0.0.1. */
    const host = location.hostname === 'localhost' ? '127.0.0.1' : location.hostname;
    return `http://${host}:${port}/exams.json`;
  }
  async function readExams() {
    try {
      const rows = list(await read(examsUrl()), 'exams', 'results');
      state.heard.exams = Date.now();
      state.exams = rows.filter((e) => e && typeof e === 'object');
      state.exams.sort((a, b) => (a.finished_ns || 0) - (b.finished_ns || 0));
      renderExams();
      renderLoop();
    } catch {
      /* the age beside the title says so */
    }
    setTimeout(readExams, EXAM_MS);
  }
  /* The curves that are shown: read once a list, but for those that cannot change any more. */
  let curvesRunning = false;
  async function readCurves() {
    if (curvesRunning) return;
    curvesRunning = true;
    const wanted = state.generations
      .filter(
        (g) => isNumber(generationIndex(g)) && generationIndex(g) > 0 && g.stage !== 'dataset',
      )
      .slice(-2 * (1 + EARLIER));
    const indexes = new Set(wanted.map(generationIndex));
    for (const index of state.curves.keys()) if (!indexes.has(index)) state.curves.delete(index);
    await Promise.all(
      wanted.map(async (g) => {
        const index = generationIndex(g),
          before = state.curves.get(index);
        if (before && before.final) return;
        try {
          const curve = await read(`/v1/generations/${encodeURIComponent(index)}/curve`);
          state.curves.set(index, {
            points: list(curve, 'points')
              .filter((p) => p && isNumber(p.agent_steps))
              .sort((a, b) => a.agent_steps - b.agent_steps),
            wanted: isNumber(curve.agent_steps_wanted) ? curve.agent_steps_wanted : 1,
            final: g.stage !== 'train',
          });
        } catch {
          /* what was drawn stays; the next list asks again */
        }
      }),
    );
    curvesRunning = false;
    renderTraining();
  }
  let listsDue = 0,
    listsRunning = false;
  async function readLists() {
    if (listsRunning || Date.now() < listsDue) return;
    listsRunning = true;
    const jobs = {
      generations: '/v1/generations',
      units: '/v1/units',
      models: '/v1/models',
      rollouts: '/v1/rollouts',
      events: '/v1/events?limit=60',
      campaigns: '/v1/campaigns',
      log: '/v1/log?limit=60',
    };
    await Promise.all(
      Object.entries(jobs).map(async ([name, url]) => {
        try {
          state[name] = list(await read(url), name).filter((r) => r && typeof r === 'object');
          state.heard[name] = Date.now();
        } catch {
          /* its age grows and is shown */
        }
      }),
    );
    state.generations.sort((a, b) => generationIndex(a) - generationIndex(b));
    state.generations = withGenerationZero(state.generations);
    const id = (u) => String(u.id ?? '');
    state.units.sort((a, b) => id(a).localeCompare(id(b), 'en', { numeric: true }));
    listsRunning = false;
    listsDue = Date.now() + LIST_MS;
    render();
    readCurves();
  }
  function heardStatus(text) {
    let status;
    try {
      status = JSON.parse(text);
    } catch {
      return;
    }
    if (status === null || typeof status !== 'object') return;
    const before = pick(state.status, 'recordings'),
      after = pick(status, 'recordings');
    if (isNumber(before) && after > before) state.heard.growth = Date.now();
    state.status = status;
    state.heard.status = Date.now();
    renderFacts();
    renderLoop();
    renderFreshness();
    readLists();
  }
  function connect() {
    const source = new EventSource('/v1/live');
    source.addEventListener('status', (event) => heardStatus(event.data));
    source.addEventListener('message', (event) => heardStatus(event.data));
    source.addEventListener('error', () => {
      renderFreshness();
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, RECONNECT_MS);
    });
  }

  const started = Date.now();
  $('exams-link').href = examsUrl();
  render();
  connect();
  readExams();
  setInterval(renderFreshness, 1000);
  function renderCharts() {
    renderExams();
    renderTraining();
  }
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', renderCharts);
  let resizing = 0;
  addEventListener('resize', () => {
    clearTimeout(resizing);
    resizing = setTimeout(renderCharts, 150);
  });
})();

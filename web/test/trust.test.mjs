// trust.test.mjs - the pages of receipts, rollouts and models against a stand-in factory, in a real browser.
// SHOTS=FOLDER keeps a picture of each.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { openBrowser, openPage } from './browser.mjs';
import { startFixture } from './fixture.mjs';

const H = (c) => c.repeat(64);
const evil = '<img src=x onerror="window.hacked=1">';
const T0 = 1.7635e18; // ns
const s = (n) => n * 1e9;

let browser;
before(async () => {
  browser = await openBrowser();
});
after(() => browser?.close());

async function open(t, path, lists) {
  const fixture = await startFixture({}, lists, null);
  const page = await openPage(browser, `http://127.0.0.1:${fixture.port}${path}`);
  t.after(async () => {
    await page.close();
    fixture.stop();
  });
  return page;
}
async function shoot(page, name) {
  if (process.env.SHOTS)
    await page.screenshot({ path: join(process.env.SHOTS, `${name}.png`), fullPage: true });
}
async function sound(page) {
  assert.ok(
    !/NaN|undefined|\[object|Infinity/.test(await page.locator('body').innerText()),
    'a raw value is on the page',
  );
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.deepEqual(page.problems, []);
}

/* ---- receipts ---- */

const drive = (model, end, passed, more = {}) => ({
  model,
  end,
  failed: !passed,
  red_light: false,
  stuck: false,
  again: !passed,
  moves: true,
  passed,
  ticks: 90,
  distance_mm: 81250,
  hard_brakes: passed ? 0 : 2,
  low_ttc_ticks: 0,
  vetoes: 1,
  ...more,
});
const hop = (name, after, more) => ({
  hop: name,
  done: true,
  previous: H('b'),
  time_ns: after === null ? null : T0 + s(after),
  since_event_ns: after === null ? null : s(after),
  bytes: null,
  core_ms: null,
  sha256: null,
  why: null,
  facts: {},
  ...more,
});
const hops = () => [
  hop('event', 0, {
    previous: null,
    facts: {
      id: 17,
      unit: '3',
      kind: 'hard_brake',
      time_ns: 52e9,
      value: '-5.2',
      recording: H('1'),
    },
  }),
  hop('recording', 4.2, {
    bytes: 812345,
    sha256: H('1'),
    facts: { unit: '3', role: 'train', model: H('0'), messages: 4100 },
  }),
  hop('scenario', null, {
    sha256: H('1'),
    facts: {
      first_tick: 120,
      event_tick: 170,
      ticks_max: 100,
      seed: 17,
      traffic: 'reactive',
      guard: true,
    },
  }),
  hop('dataset', 31, {
    bytes: 9000,
    sha256: H('d'),
    facts: { generation: 2, role: 'train', recordings: 60, held_out: 12 },
  }),
  hop('run', 95, {
    bytes: 120000,
    core_ms: 123400,
    sha256: H('c'),
    facts: { seed: 7, agent_steps: 400000, parent: H('0') },
  }),
  hop('gate', 118, {
    facts: {
      decision: 'promoted',
      reason: 'clean +4.1 points',
      test: { suite: H('5'), alpha: '0.0125' },
    },
  }),
  hop('signature', 118.4, {
    bytes: 2100,
    sha256: H('9'),
    facts: { keyid: H('7'), release_counter: 3 },
  }),
  hop('rollout', 181, {
    sha256: H('8'),
    facts: { n: 2, state: 'done', units: 12, active: 12, reports: 12 },
  }),
  hop('replay', 182, {
    core_ms: 40,
    sha256: H('c'),
    facts: {
      outcome: 'fixed',
      drives: [drive(H('0'), 'collision, at fault', false), drive(H('c'), 'time is over', true)],
    },
  }),
];
const envelope = (predicate) => ({
  payloadType: 'application/vnd.in-toto+json',
  payload: Buffer.from(
    JSON.stringify({ _type: 'https://in-toto.io/Statement/v1', predicate }),
  ).toString('base64'),
  signatures: [{ keyid: H('7'), sig: 'AA==' }],
});
const receipt = (more = {}) => ({
  format: 1,
  event: 17,
  made_ns: T0 + s(182),
  complete: true,
  outcome: 'fixed',
  failure_to_fixed_ns: s(181),
  bytes: 943445,
  core_ms: 123440,
  hops: hops(),
  chain: H('a'),
  ...more,
});
const frame = (x) => ({
  speed: 8,
  accel: -0.5,
  curvature: 0,
  veto: 0,
  light: 0,
  boxes: [
    [0, x, 0, 0, 4.5, 1.8, 8],
    [1, x + 12, 0, 0, 4.5, 1.8, 7],
  ],
});
const replays = {
  replays: [
    {
      format: 1,
      scenario: H('1'),
      site: 'acosta',
      tick_s: 0.1,
      first_tick: 120,
      lanes: [],
      route: [
        [-50, 0, 3.5],
        [150, 0, 3.5],
      ],
      drives: [
        {
          driver: 'drove then 000000000000',
          track: 0,
          end: 'collision, at fault',
          failed: true,
          red_light: false,
          frames: Array.from({ length: 40 }, (_, i) => frame(i)),
        },
        {
          driver: 'drives now cccccccccccc',
          track: 0,
          end: 'time is over',
          failed: false,
          red_light: false,
          frames: Array.from({ length: 90 }, (_, i) => frame(i / 2)),
        },
      ],
    },
  ],
};
const row = (event, outcome, complete, fixed_s) => ({
  event,
  unit: '3',
  kind: 'hard_brake',
  recording: H('1'),
  generation: 2,
  outcome,
  complete,
  event_ns: T0,
  fixed_s,
});
const receiptLists = () => ({
  '/v1/receipts': {
    events: 40,
    receipts: 3,
    complete: 2,
    fixed: 1,
    not_reproduced: 1,
    not_fixed: 0,
    open: 1,
    share_complete: 0.667,
    failure_to_fixed_s: { median: 181, low: 150.5, high: 240, n: 1, clusters: 1 },
    rows: [
      row(19, 'open', false, null),
      row(18, 'not reproduced', true, null),
      row(17, 'fixed', true, 181),
    ],
  },
  '/v1/events': [
    { id: 17, unit: '3', kind: 'hard_brake', recording: H('1'), received_ns: T0 },
    { id: 23, unit: evil, kind: evil, recording: H('2'), received_ns: T0 },
  ],
  '/v1/events/17/receipt': envelope(receipt()),
  '/v1/events/17/replay': replays,
});

test('a receipt shows its chain hop by hop, on an axis, and both drives', async (t) => {
  const page = await open(t, '/receipt.html?event=17', receiptLists());
  await page.locator('.hop[data-hop=replay]', { hasText: 'fixed' }).waitFor();
  assert.equal(await page.locator('.hop').count(), 9);
  assert.equal(await page.locator('.hop[data-done=true]').count(), 9);
  await page.locator('.hop[data-hop=run]', { hasText: '123.40 core-s' }).waitFor();
  await page.locator('.hop[data-hop=rollout]', { hasText: '12 of 12 units' }).waitFor();
  await page.locator('#receipt-note', { hasText: 'hard brake of unit 3' }).waitFor();
  await page.locator('#receipt-note', { hasText: 'after 3 min 1 s' }).waitFor();
  assert.equal(
    await page.locator('#axis .mark').count(),
    7,
    'the scenario has no time of its own, the replay is made when asked for',
  );
  await page.locator('#replay canvas').nth(1).waitFor();
  await page.locator('#replay figcaption', { hasText: 'drove then' }).waitFor();
  await page.locator('#summary', { hasText: '66.7 %' }).waitFor();
  await page.locator('#summary', { hasText: '3 min 1 s' }).waitFor();
  await page.locator('#events tbody tr', { hasText: '23' }).waitFor();
  await sound(page);
  await shoot(page, 'receipt');
});

test('a receipt that is not complete says what has not happened', async (t) => {
  const lists = receiptLists(),
    open_ = hops().map((h, i) =>
      i < 5
        ? h
        : {
            ...h,
            done: false,
            time_ns: null,
            since_event_ns: null,
            sha256: null,
            bytes: null,
            why: i === 5 ? 'the gate has not decided yet' : evil,
            facts: {},
          },
    );
  lists['/v1/events/17/receipt'] = envelope(
    receipt({ complete: false, outcome: 'open', failure_to_fixed_ns: null, hops: open_ }),
  );
  delete lists['/v1/events/17/replay'];
  const page = await open(t, '/receipt.html?event=17', lists);
  await page.locator('.hop[data-hop=gate]', { hasText: 'the gate has not decided yet' }).waitFor();
  assert.equal(await page.locator('.hop[data-done=false]').count(), 4);
  await page.locator('#receipt-note', { hasText: 'open, incomplete' }).waitFor();
  await page.locator('#replay-none').waitFor();
  await sound(page);
  await shoot(page, 'receipt-open');
});

test('an unknown event and an empty factory are told in words', async (t) => {
  const page = await open(t, '/receipt.html?event=99', {
    '/v1/receipts': {
      events: 0,
      receipts: 0,
      complete: 0,
      fixed: 0,
      not_reproduced: 0,
      not_fixed: 0,
      open: 0,
      share_complete: null,
      failure_to_fixed_s: null,
      rows: [],
    },
    '/v1/events': [],
  });
  await page.locator('#receipt-none', { hasText: 'No receipt of event 99' }).waitFor();
  await page.locator('#receipts', { hasText: 'No receipt yet' }).waitFor();
  await sound(page);
});

/* ---- rollouts ---- */

const rings = [
  { name: 'canary', mode: 'active', share: 0.05, advance: 'exposure' },
  { name: 'half', mode: 'active', share: 0.5, advance: 'exposure' },
  { name: 'all', mode: 'active', share: 1, advance: 'ruled_out' },
];
const compared = (log_e_harm) => ({
  ring_rate: 0.42,
  control_rate: 0.21,
  dispersion: 1.3,
  log_e_harm,
  log_e_ruled_out: -0.2,
});
const rollout = (more = {}) => ({
  n: 2,
  generation: 2,
  model: H('c'),
  previous: H('0'),
  state: 'rolling',
  ring: 1,
  rings: 3,
  ring_name: 'half',
  group: '*',
  reason: 'ring half has begun',
  created_ns: T0,
  ring_ns: T0 + s(20),
  done_ns: null,
  units: 4,
  told: 2,
  active: 1,
  failed: 0,
  ...more,
});
const wholeRollout = (more = {}) => ({
  ...rollout(more),
  plan: { alpha: 0.01, beta: 0.0001, harm_ratio: 2, rings },
  members: [
    {
      unit: '1',
      ring: 0,
      state: 'active',
      told_ns: T0,
      active_ns: T0 + s(7),
      signed: true,
      health: null,
    },
    {
      unit: '2',
      ring: 1,
      state: 'told',
      told_ns: T0 + s(20),
      active_ns: null,
      signed: false,
      health: null,
    },
    {
      unit: evil,
      ring: 1,
      state: 'waiting',
      told_ns: null,
      active_ns: null,
      signed: false,
      health: null,
    },
  ],
  steps: [
    { kind: 'start', ring: 0, text: 'canary begins', time_ns: T0, evidence: null },
    { kind: 'ring', ring: 1, text: evil, time_ns: T0 + s(20), evidence: null },
  ],
  look: {
    action: 'wait',
    reason: 'not enough metres yet',
    told: 2,
    active: 1,
    failed: 0,
    silent: 0,
    control: 2,
    refusals: 0,
    fallbacks: 0,
    crashes: 0,
    ticks_least: 40,
    compared: {
      events: compared(0.7),
      vetoes: compared(1.1),
      late_ticks: { ...compared(null), control_rate: null },
    },
  },
  ...more,
});

test('a rollout shows its rings filling and its health against the control', async (t) => {
  const page = await open(t, '/rollouts.html', {
    '/v1/rollouts': [rollout()],
    '/v1/rollouts/2': wholeRollout(),
  });
  await page.locator('.ring[data-now=true]', { hasText: 'half' }).waitFor();
  assert.equal(await page.locator('.ring').count(), 3);
  await page.locator('.ring[data-ring=canary] [aria-label="1 active"]').waitFor();
  await page
    .locator('#health tbody tr', { hasText: 'events/km' })
    .filter({ hasText: '2.00' })
    .waitFor();
  await page
    .locator('#health thead', { hasText: 'stops at 9.0e+2' })
    .or(page.locator('#health thead', { hasText: 'stops at' }))
    .first()
    .waitFor();
  await page
    .locator('#health-note', { hasText: '1 units in the rings so far against 2' })
    .waitFor();
  await page.locator('#steps li', { hasText: 'canary begins' }).waitFor();
  await page.locator('#members tbody tr', { hasText: '7.0 s' }).waitFor();
  await sound(page);
  await shoot(page, 'rollouts');
});

test('a halt says why, and an empty factory what is still to come', async (t) => {
  const halted = {
    state: 'rolled_back',
    reason: 'shown harm: 0.42 events a km in the ring, 0.21 in the control',
    done_ns: T0 + s(60),
    failed: 1,
  };
  const page = await open(t, '/rollouts.html?n=2', {
    '/v1/rollouts': [rollout(halted)],
    '/v1/rollouts/2': wholeRollout({
      ...halted,
      look: null,
      steps: [
        {
          kind: 'halt',
          ring: 1,
          text: 'shown harm',
          time_ns: T0 + s(50),
          evidence: {
            ...wholeRollout().look,
            reason: 'shown harm',
            compared: { events: compared(9.1), vetoes: compared(1) },
          },
        },
      ],
    }),
  });
  await page.locator('#rollout-say', { hasText: 'turned back' }).waitFor();
  await page.locator('#rollout-say', { hasText: '0.42 events a km' }).waitFor();
  await page.locator('#health .wrong').waitFor();
  await page.locator('#steps .verdict[data-verdict=failed]', { hasText: 'halt' }).waitFor();
  await sound(page);
  await shoot(page, 'rollouts-halted');
  const empty = await open(t, '/rollouts.html', { '/v1/rollouts': [] });
  await empty.locator('#rollouts', { hasText: 'No rollout yet' }).waitFor();
  assert.equal(await empty.locator('#rollout').isVisible(), false);
  await sound(empty);
});

/* ---- models ---- */

const model = (c, more = {}) => ({
  hash: H(c),
  version: 2,
  parent: H('0'),
  dataset: H('d'),
  seed: 7,
  line: 'driving',
  kind: 'network',
  decision: 'promoted',
  reason: 'clean +4.1 points',
  created_ns: T0,
  champion: false,
  release_counter: 3,
  tags: {},
  aliases: [],
  ...more,
});
const decision = (n, more = {}) => ({
  n,
  generation: 2,
  champion: H('0'),
  candidate: H('c'),
  suite: H('5'),
  epoch: 1,
  place: n,
  alpha: 0.025 / n,
  beta: 0.1,
  log_e: 4.2,
  promoted: true,
  reason: 'clean +4.1 points',
  time_ns: T0,
  ...more,
});
const record = {
  version: 1,
  promote: true,
  reason: 'better is shown: +4.1 points',
  suite: { hash: H('5'), epoch: 1, place: 1, promotions_before: 0 },
  hypotheses: {
    H0: 'mean difference of clean shares <= 0',
    alpha: 0.05,
    H1: 'x',
    delta: 0.05,
    beta: 0.1,
    alpha_t: 0.025,
    e_wanted: 40,
    epsilon: 0.1,
    slice_level: 0.1,
    slice_min: 40,
  },
  primary: {
    drives: 120,
    recordings: 60,
    mean_difference: 0.041,
    log_e: 4.2,
    futile_log_e: -1,
    outcome: 'H0 is refuted',
    decided_at: 41,
  },
  slices: [
    {
      slice: 'at_signals',
      drives: 50,
      recordings: 30,
      difference: 0.02,
      log_e: 1.2,
      verdict: 'too small to show',
    },
    { slice: evil, drives: 70, recordings: 44, difference: 0.05, log_e: 3, verdict: 'kept' },
  ],
  limits: [
    {
      limit: 'decision time p99',
      unit: 'us',
      value: 31.2,
      wanted: 'at most',
      bound: 1000,
      held: true,
    },
    { limit: 'way', unit: '', value: null, wanted: 'at least', bound: 0.3, held: false },
  ],
  log_wealth: Array.from({ length: 41 }, (_, i) => [i + 1, 0.1 * i + (i % 3) * 0.12]),
  clusters: [],
};
test('a model shows where it comes from, its gate in words and numbers, and its signature', async (t) => {
  const champion = model('c', { champion: true });
  const page = await open(t, '/models.html', {
    '/v1/models': [
      model('0', {
        version: 1,
        parent: null,
        dataset: null,
        kind: 'constant',
        decision: null,
        reason: null,
        release_counter: null,
      }),
      champion,
    ],
    '/v1/models/': null,
    [`/v1/models/${H('c')}`]: {
      ...champion,
      lineage: {
        version: 1,
        origin: 'trained',
        recordings: { train: 48, held_out: 12 },
        recipe: { trainer: 'ppo', imitation_steps: 1000, agent_steps: 400000, seed: '7' },
        code: { version: '0.1.0', commit: H('e') },
        machine: { cpu_class: 'x86-64-v3' },
        cost: { core_s: 61.2 },
      },
      self_test: null,
      statement: { signatures: [{ keyid: H('7') }] },
    },
    '/v1/gate/decisions': [
      decision(2, { candidate: H('f'), promoted: false, reason: evil, log_e: -0.4 }),
      decision(1),
    ],
    '/v1/gate/decisions/1': { ...decision(1), record },
  });
  await page.locator('#gate-say', { hasText: 'better is shown' }).waitFor();
  await page.locator('#lineage .self', { hasText: 'cccccccccc' }).waitFor();
  assert.equal(await page.locator('#lineage .model').count(), 1);
  await page.locator('#model-facts', { hasText: 'signed by key 7777777777' }).waitFor();
  await page.locator('#model-facts', { hasText: 'flywheel models rebuild' }).waitFor();
  assert.match(await page.locator('#gate-path .wealth').getAttribute('d'), /^M44 /);
  await page
    .locator('#gate-checks tbody tr', { hasText: 'decision time p99' })
    .filter({ hasText: 'held' })
    .waitFor();
  await page.locator('#decisions tbody tr').nth(1).waitFor();
  await page.locator('#decisions-note', { hasText: '0.0375' }).waitFor();
  await sound(page);
  await shoot(page, 'models');
});
